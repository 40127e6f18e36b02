//! A curve as inline SVG: axes, labels and one line.

use std::fmt::Write as _;

use super::escape;
use crate::build::metrics::short;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 40.0;
const TICKS: u32 = 4;

/// A line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    /// What the line is of; empty where it is the only one.
    pub label: &'a str,
    /// Its points: how far, and the value.
    pub points: &'a [(f64, f64)],
}

/// Draws `points` (how far, value) of the metric `name`; nothing where there are fewer than two.
pub(super) fn draw(name: &str, points: &[(f64, f64)]) -> String {
    draw_together(name, &[Series { label: "", points }])
}

/// Draws the lines of one metric over the same axes; those of fewer than two points are left out.
#[must_use]
pub fn draw_together(name: &str, series: &[Series<'_>]) -> String {
    let lines: Vec<(&str, Vec<(f64, f64)>)> = series
        .iter()
        .map(|line| {
            let points = line.points.iter().copied();
            (line.label, points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect())
        })
        .filter(|(_, points): &(&str, Vec<(f64, f64)>)| points.len() > 1)
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let all = || lines.iter().flat_map(|(_, points)| points.iter());
    let across = Axis::over(all().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let up = Axis::over(all().map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let label = escape(name);
    let captions: Vec<String> =
        lines.iter().map(|(line, points)| caption(&label, line, points)).collect();
    let caption = captions.join("; ");
    let mut svg = format!(
        "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{caption}\">\n"
    );
    grid(&mut svg, &across, &up);
    for (number, (_, points)) in lines.iter().enumerate() {
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{:.1},{:.1}", across.place(*x), up.place(*y)))
            .collect();
        let class = if number == 0 { "" } else { " class=\"other\"" };
        let _ = writeln!(svg, "<polyline{class} points=\"{}\"/>", path.join(" "));
    }
    let _ = writeln!(
        svg,
        "<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"end\">step</text></svg>",
        WIDTH - RIGHT,
        HEIGHT - 4.0
    );
    let _ = writeln!(svg, "<figcaption>{caption}</figcaption></figure>");
    svg
}

/// What a line begins and ends with.
fn caption(name: &str, line: &str, points: &[(f64, f64)]) -> String {
    let ends = points.first().zip(points.last());
    let (first, last) = ends.map_or((0.0, 0.0), |(first, last)| (first.1, last.1));
    let line = if line.is_empty() { String::new() } else { format!(", {}", escape(line)) };
    format!("{name}{line}: {} → {}", short(first), short(last))
}

fn grid(svg: &mut String, across: &Axis, up: &Axis) {
    for tick in up.ticks() {
        let y = up.place(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            short(tick)
        );
    }
    for tick in across.ticks() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            across.place(tick),
            HEIGHT - BOTTOM + 18.0,
            short(tick)
        );
    }
}

/// A range of numbers laid over a range of the picture.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        // Halved so that the span of the largest numbers stays finite.
        let span = self.high / 2.0 - self.low / 2.0;
        self.from + (value / 2.0 - self.low / 2.0) / span * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low, self.high);
        (0..=TICKS).map(move |tick| {
            let part = f64::from(tick) / f64::from(TICKS);
            low * (1.0 - part) + high * part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_axes_and_a_line() {
        let svg = draw("loss<", &[(0.0, 4.0), (50.0, 3.0), (100.0, 2.0)]);
        assert!(svg.contains("<polyline points=\"64.0,16.0 384.0,118.0 704.0,220.0\"/>"), "{svg}");
        assert!(svg.contains("loss&lt;: 4 → 2"), "{svg}");
        assert!(!svg.contains("loss<"));
    }

    #[test]
    fn two_curves_share_their_axes() {
        let (one, two) = ([(0.0, 4.0), (10.0, 2.0)], [(0.0, 4.0), (10.0, 0.0)]);
        let series = |label, points| Series { label, points };
        let svg = draw_together("loss", &[series("first", &one), series("second", &two)]);
        assert!(svg.contains("<polyline points=\"64.0,16.0 704.0,118.0\"/>"), "{svg}");
        assert!(
            svg.contains("<polyline class=\"other\" points=\"64.0,16.0 704.0,220.0\"/>"),
            "{svg}"
        );
        assert!(svg.contains("loss, first: 4 → 2; loss, second: 4 → 0"), "{svg}");
    }

    #[test]
    fn odd_numbers_draw_nothing_odd() {
        assert_eq!(draw("x", &[(0.0, 1.0)]), "");
        for points in [[(0.0, 1.0), (0.0, 1.0)], [(-f64::MAX, -f64::MAX), (f64::MAX, f64::MAX)]] {
            let svg = draw("x", &points);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
