//! Tables of reports.

use std::fmt::Write as _;

use super::escape;

/// A table with a heading for each column; a heading that ends in `#` is of numbers.
pub struct Table<'a> {
    page: &'a mut String,
    numbers: Vec<bool>,
}

impl<'a> Table<'a> {
    /// Begins a table below a heading.
    #[must_use]
    pub fn new(page: &'a mut String, title: &str, headings: &[&str]) -> Self {
        let _ = write!(page, "<h2>{}</h2>\n<div class=\"scroll\"><table><tr>", escape(title));
        let numbers: Vec<bool> = headings.iter().map(|heading| heading.ends_with('#')).collect();
        for (heading, number) in headings.iter().zip(&numbers) {
            let class = if *number { " class=\"n\"" } else { "" };
            let _ = write!(page, "<th{class}>{}</th>", escape(heading.trim_end_matches('#')));
        }
        page.push_str("</tr>\n");
        Self { page, numbers }
    }

    /// Adds a row of cells that are HTML already.
    pub fn row(&mut self, cells: &[String]) {
        self.page.push_str("<tr>");
        for (cell, number) in cells.iter().zip(&self.numbers) {
            let class = if *number { " class=\"n\"" } else { "" };
            let _ = write!(self.page, "<td{class}>{cell}</td>");
        }
        self.page.push_str("</tr>\n");
    }

    /// Ends the table.
    pub fn end(self) {
        self.page.push_str("</table></div>\n");
    }
}
