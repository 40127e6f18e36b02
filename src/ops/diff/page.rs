//! A difference as one page.

use std::fmt::Write as _;

use super::{Change, PackageDifference};
use crate::build::metrics::short;
use crate::build::report::{Table, begin, bytes, digest, escape};
use crate::reproduce::Verdict;

impl PackageDifference {
    /// The difference as a page of HTML with nothing fetched from elsewhere.
    #[must_use]
    pub fn page(&self) -> String {
        let (first, second) = (self.first.release.to_string(), self.second.release.to_string());
        let mut page = begin(&format!("{first} and {second}"));
        let _ = writeln!(
            page,
            "<h1>{} and {} <small>{}</small></h1>",
            escape(&first),
            escape(&second),
            self.contents.verdict
        );
        let mut table = Table::new(&mut page, "Packages", &["", "Package digest"]);
        table.row(&[escape(&first), digest(&self.first.digest)]);
        table.row(&[escape(&second), digest(&self.second.digest)]);
        table.end();
        changes(&mut page, "Manifest", &self.manifest);
        self.data(&mut page);
        self.code(&mut page);
        changes(&mut page, "Environment", &self.environment);
        self.files(&mut page);
        self.tensors(&mut page);
        changes(&mut page, "Test results", &self.tests);
        page.push_str("</html>\n");
        page
    }

    fn data(&self, page: &mut String) {
        changes(page, "Data", &self.data.changes);
        for (title, licences) in [("in", &self.data.licences_in), ("out", &self.data.licences_out)]
        {
            if !licences.is_empty() {
                let licences = escape(&licences.join(", "));
                let _ = writeln!(page, "<p>Licences {title}: {licences}</p>");
            }
        }
        for (name, more) in &self.data.records_in {
            let less = self.data.records_out.get(name).copied().unwrap_or_default();
            let name = escape(name);
            let _ = writeln!(page, "<p>Records of {name}: {more} in, {less} out</p>");
        }
    }

    fn code(&self, page: &mut String) {
        let Some(code) = &self.code else {
            page.push_str(
                "<h2>Code</h2>\n<p class=\"soft\">The source packages are not at hand.</p>\n",
            );
            return;
        };
        if !code.is_empty() {
            page.push_str("<h2>Code</h2>\n");
        }
        for file in code {
            let Some(diff) = &file.diff else {
                let path = escape(file.path.as_str());
                let _ = writeln!(page, "<p><code>{path}</code>: no text, or too long</p>");
                continue;
            };
            page.push_str("<div class=\"scroll\"><pre>");
            for line in diff.lines() {
                let class = match line.bytes().next() {
                    Some(b'+') => "good",
                    Some(b'-') => "bad",
                    _ => "soft",
                };
                let _ = writeln!(page, "<span class=\"{class}\">{}</span>", escape(line));
            }
            page.push_str("</pre></div>\n");
        }
    }

    fn files(&self, page: &mut String) {
        let headings = ["File", "Verdict", "First#", "Second#", "What differs"];
        let mut table = Table::new(page, "Files", &headings);
        for file in self.contents.changed() {
            let size = |side: &Option<crate::reproduce::Found>| {
                side.as_ref().map_or_else(|| "–".to_owned(), |side| bytes(side.size))
            };
            let class = if file.verdict == Verdict::Different { "bad" } else { "good" };
            table.row(&[
                format!("<code>{}</code>", escape(file.path.as_str())),
                format!("<span class=\"{class}\">{}</span>", file.verdict),
                size(&file.first),
                size(&file.second),
                escape(&file.in_words()),
            ]);
        }
        table.end();
    }

    fn tensors(&self, page: &mut String) {
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
        for file in &self.contents.files {
            let Some(weights) = file.weights.as_ref().filter(|it| !it.changed.is_empty()) else {
                continue;
            };
            let headings = ["Tensor", "Type", "Largest difference#", "Cosine#", "Relative L2#"];
            let mut table = Table::new(page, &format!("Tensors of {}", file.path), &headings);
            for tensor in &weights.changed {
                table.row(&[
                    format!("<code>{}</code>", escape(&tensor.name)),
                    format!("{} {:?}", escape(&tensor.dtype), tensor.shape),
                    number(tensor.max_abs),
                    tensor.cosine.map_or_else(|| "–".to_owned(), |cosine| cosine.to_string()),
                    number(tensor.relative_l2),
                ]);
            }
            table.end();
        }
    }
}

fn changes(page: &mut String, title: &str, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let mut table = Table::new(page, title, &["", "First", "Second"]);
    for change in changes {
        let cell = |side: &Option<String>| side.as_deref().map_or_else(|| "–".to_owned(), escape);
        table.row(&[
            format!("<code>{}</code>", escape(&change.what)),
            cell(&change.first),
            cell(&change.second),
        ]);
    }
    table.end();
}
