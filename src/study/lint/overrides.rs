//! `lint.toml`: remarks that are known and put up with, each for a reason and until a day.

use super::tags::{self, TAGS};
use super::{Remark, Remarks, in_order};
use crate::explain::nearest;
use crate::package::document::{Diagnostics, Form, Problem, Section};

/// The file of overrides in a source tree.
pub const OVERRIDES_NAME: &str = "lint.toml";
/// The longest such file that is read, in bytes.
pub const LONGEST_OVERRIDES: u64 = 1 << 20;

const FORM: Form = Form { kind: "lint-overrides", noun: "lint.toml", longest: LONGEST_OVERRIDES };

/// Remarks that are put up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Their tag.
    pub tag: &'static str,
    /// What they are about; without it all of the tag.
    pub about: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which it counts.
    pub until: jiff::civil::Date,
}

/// All overrides of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(pub Vec<Override>);

/// What became of remarks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Those that count.
    pub remarks: Vec<Remark>,
    /// Those that are put up with, with the reason.
    pub overridden: Vec<(Remark, String)>,
}

impl Overrides {
    /// Reads the text of `lint.toml`; `file_name` is how messages name it.
    ///
    /// # Errors
    /// Every problem that it has.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Diagnostics> {
        FORM.parse(text, file_name, |root| {
            let sections = root.sections("override", "[[override]]");
            let overrides = sections.into_iter().filter_map(one).collect();
            root.finish();
            Some(Self(overrides))
        })
    }

    /// Takes out what is put up with on the day `today`; overrides that are past their day, or
    /// about nothing, are remarks themselves.
    #[must_use]
    pub fn apply(&self, remarks: Vec<Remark>, today: jiff::civil::Date) -> Judged {
        let mut own = Remarks::default();
        let mut judged = Judged::default();
        let mut used = vec![false; self.0.len()];
        for remark in remarks {
            let fits = |one: &Override| {
                one.tag == remark.tag.name
                    && one.about.as_ref().is_none_or(|about| *about == remark.about)
            };
            let places = self.0.iter().enumerate().filter(|(_, one)| fits(one));
            let places: Vec<usize> = places.map(|(at, _)| at).collect();
            for at in &places {
                used[*at] = true;
            }
            match places.into_iter().find(|at| self.0[*at].until >= today) {
                Some(at) => judged.overridden.push((remark, self.0[at].reason.clone())),
                None => judged.remarks.push(remark),
            }
        }
        for (one, used) in self.0.iter().zip(used) {
            let about = one.about.as_ref().map(|about| format!(" of {about}")).unwrap_or_default();
            if !used {
                let what = format!("{}{about} is not found", one.tag);
                own.add("override-unused", OVERRIDES_NAME, what);
            } else if one.until < today {
                let what = format!("{}{about} was put up with until {}", one.tag, one.until);
                own.add("override-expired", OVERRIDES_NAME, what);
            }
        }
        judged.remarks.extend(own.0);
        judged.remarks = in_order(judged.remarks);
        judged
    }
}

fn one(section: Section<'_>) -> Option<Override> {
    let tag = section.required("tag", "\"single-address\"");
    let about = section.string("about").map(|found| found.value.to_owned());
    let reason = section.required("reason", "\"why it is put up with\"");
    let until = section.required("until", "\"2027-12-31\"");
    let report = |problem| section.reader.report(problem);
    let known = tag.and_then(|found| {
        let known = tags::find(found.value);
        if known.is_none() {
            let problem = Problem::at(found.span, format!("there is no tag {:?}", found.value));
            let near = nearest(found.value, TAGS.iter().map(|tag| tag.name));
            report(match near {
                Some(near) => problem.help(format!("did you mean \"{near}\"?")),
                None => problem.help("mpkg lint --list names them all"),
            });
        }
        known
    });
    let until = until.and_then(|found| {
        let day = found.value.parse::<jiff::civil::Date>().ok();
        if day.is_none() {
            report(Problem::at(found.span, "`until` takes a day, as in \"2027-12-31\""));
        }
        day
    });
    if let Some(reason) = reason.as_ref().filter(|reason| reason.value.trim().is_empty()) {
        report(Problem::at(reason.span.clone(), "`reason` says nothing"));
    }
    section.finish();
    Some(Override { tag: known?.name, about, reason: reason?.value.to_owned(), until: until? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(tag: &'static str, about: &str) -> Remark {
        let tag = tags::find(tag).unwrap();
        Remark { tag, about: about.to_owned(), line: None, what: String::new() }
    }

    fn overrides(until: &str) -> Overrides {
        let text = format!(
            "[[override]]\ntag = \"plain-http\"\nabout = \"plays\"\nreason = \"old server\"\nuntil = \"{until}\"\n"
        );
        Overrides::parse(&text, "lint.toml").unwrap()
    }

    #[test]
    fn an_override_counts_for_what_it_names_until_its_day() {
        let today = "2026-11-26".parse().unwrap();
        let remarks = || vec![remark("plain-http", "plays"), remark("plain-http", "letters")];
        let judged = overrides("2026-11-26").apply(remarks(), today);
        assert_eq!(judged.remarks, [remark("plain-http", "letters")]);
        assert_eq!(judged.overridden[0].1, "old server");
        let judged = overrides("2026-11-25").apply(remarks(), today);
        let tags: Vec<&str> = judged.remarks.iter().map(|one| one.tag.name).collect();
        assert_eq!(tags, ["override-expired", "plain-http", "plain-http"]);
        let judged = overrides("2026-11-26").apply(vec![], today);
        assert_eq!(judged.remarks[0].tag.name, "override-unused");
    }

    #[test]
    fn what_is_wrong_in_it_is_shown() {
        for (text, why) in [
            (
                "[[override]]\ntag = \"plain-htp\"\nreason = \"x\"\nuntil = \"2027-01-01\"",
                "plain-http",
            ),
            ("[[override]]\ntag = \"pickle\"\nuntil = \"2027-01-01\"", "no `reason`"),
            (
                "[[override]]\ntag = \"pickle\"\nreason = \" \"\nuntil = \"2027-01-01\"",
                "says nothing",
            ),
            ("[[override]]\ntag = \"pickle\"\nreason = \"x\"\nuntil = \"soon\"", "takes a day"),
            ("[[overrides]]\n", "no key `overrides`"),
        ] {
            let error = Overrides::parse(text, "lint.toml").unwrap_err();
            let shown = crate::explain::Explain::rendered(&error).unwrap();
            assert!(shown.contains(why), "{why}: {shown}");
        }
    }
}
