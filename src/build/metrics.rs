//! Metric lines that steps print, such as `{"step": 100, "of": 700, "loss": 2.31}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most points that are kept of one metric.
pub const MOST_POINTS: usize = 500;
/// The most metrics that are kept of one step.
pub const MOST_METRICS: usize = 32;
const LONGEST_LINE: usize = 4096;

/// One metric line.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricLine {
    /// How far the work is.
    pub step: f64,
    /// Of how much, where the line says so.
    pub of: Option<f64>,
    /// What was measured, by name.
    pub values: BTreeMap<String, f64>,
}

impl MetricLine {
    /// Reads a line that a step printed; most lines are no metric lines.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.len() > LONGEST_LINE || !line.starts_with('{') {
            return None;
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
        let step = object.get("step")?.as_f64()?;
        let of = object.get("of").and_then(serde_json::Value::as_f64);
        let values: BTreeMap<String, f64> = object
            .into_iter()
            .filter(|(name, _)| name != "step" && name != "of")
            .filter_map(|(name, value)| Some((name, value.as_f64()?)))
            .collect();
        (!values.is_empty()).then_some(Self { step, of, values })
    }

    /// The values for people, as in `loss 2.31`.
    #[must_use]
    pub fn summary(&self) -> String {
        let parts: Vec<String> = self
            .values
            .iter()
            .take(4)
            .map(|(name, value)| format!("{} {}", crate::explain::printable(name), short(*value)))
            .collect();
        parts.join(", ")
    }
}

/// A number with as many digits as people read.
#[must_use]
pub fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-3..1e6).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Every metric of a step as a curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curves {
    curves: BTreeMap<String, Curve>,
}

/// One metric over the course of a step, thinned so that it never holds more than
/// [`MOST_POINTS`] points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(f64, f64)>", into = "Vec<(f64, f64)>")]
pub struct Curve {
    points: Vec<(f64, f64)>,
    last: Option<(f64, f64)>,
    stride: u64,
    seen: u64,
}

impl Curve {
    fn add(&mut self, point: (f64, f64)) {
        if self.seen.is_multiple_of(self.stride) {
            self.points.push(point);
            self.last = None;
        } else {
            self.last = Some(point);
        }
        self.seen += 1;
        if self.points.len() >= MOST_POINTS {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
            self.last = Some(point);
        }
    }

    /// The points: how far, and the value there.
    #[must_use]
    pub fn points(&self) -> Vec<(f64, f64)> {
        self.points.iter().copied().chain(self.last).collect()
    }
}

impl From<Vec<(f64, f64)>> for Curve {
    fn from(points: Vec<(f64, f64)>) -> Self {
        Self { seen: points.len() as u64, points, last: None, stride: 1 }
    }
}

impl From<Curve> for Vec<(f64, f64)> {
    fn from(curve: Curve) -> Self {
        curve.points()
    }
}

impl Curves {
    /// Adds what a line measured; numbers that are not finite are left out.
    pub fn add(&mut self, line: &MetricLine) {
        for (name, value) in &line.values {
            let known = self.curves.contains_key(name);
            if !value.is_finite() || (!known && self.curves.len() >= MOST_METRICS) {
                continue;
            }
            let curve = self.curves.entry(name.clone()).or_insert_with(|| Vec::new().into());
            curve.add((line.step, *value));
        }
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.curves.is_empty()
    }

    /// How far the work came, as the metric lines say.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "steps are counted; what is out of range is the end of the range"
    )]
    pub fn last_step(&self) -> Option<u64> {
        let ends = self.curves.values().filter_map(|curve| curve.points().pop());
        ends.map(|(step, _)| step as u64).max()
    }

    /// The curves in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Vec<(f64, f64)>)> {
        self.curves.iter().map(|(name, curve)| (name.as_str(), curve.points()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_lines_are_told_from_others() {
        let line = MetricLine::parse("{\"step\":100,\"of\":700,\"loss\":2.31}").unwrap();
        assert_eq!((line.step, line.of), (100.0, Some(700.0)));
        assert_eq!(line.summary(), "loss 2.31");
        for other in ["", "step 1", "{\"step\": 1}", "{\"loss\": 1}", "{\"step\":1,\"loss\":\"x\"}"]
        {
            assert_eq!(MetricLine::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_ends() {
        let mut curves = Curves::default();
        for step in 0..100_000_u32 {
            let values = BTreeMap::from([("loss".to_owned(), f64::from(step))]);
            curves.add(&MetricLine { step: f64::from(step), of: None, values });
        }
        let (_, points) = curves.iter().next().unwrap();
        assert!((200..=MOST_POINTS).contains(&points.len()), "{}", points.len());
        assert_eq!(points[0], (0.0, 0.0));
        assert_eq!(points[points.len() - 1], (99_999.0, 99_999.0));
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(short(2.31), "2.31");
        assert_eq!(short(3.0), "3");
        assert_eq!(short(0.000_012), "1.200e-5");
        assert_eq!(short(0.0), "0");
    }
}
