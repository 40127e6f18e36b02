//! A tree as one page: data on the left, what was made from it to the right.

use std::fmt::Write as _;

use super::{EdgeRole, Node, Tree, What};
use crate::build::report::{Table, begin, digest, escape};

/// How wide and high a box is, and the free space between two, in pixels.
const BOX: (usize, usize) = (210, 62);
const GAP: (usize, usize) = (70, 18);
/// The most characters of a line in a box.
const LONGEST_LINE: usize = 30;

const STYLE: &str = "<style>svg .box { fill: var(--paper); stroke: var(--rule); } svg .box.data { stroke-dasharray: 4 3; } svg .box.goal { stroke: var(--mark); stroke-width: 2; } svg .arrow { fill: none; stroke: var(--soft); } svg .arrow.build { stroke-dasharray: 5 4; } svg text.name { fill: var(--ink); font-weight: 600; font-size: 13px; }</style>\n";

impl Tree {
    /// The tree as a page of HTML with nothing fetched from elsewhere.
    #[must_use]
    pub fn page(&self) -> String {
        let title = self.nodes.first().map(title).unwrap_or_default();
        let mut page = begin(&format!("{title}: what it was made from"));
        page.push_str(STYLE);
        let _ = writeln!(page, "<h1>{} <small>what it was made from</small></h1>", escape(&title));
        self.draw(&mut page);
        self.list(&mut page);
        for gap in &self.gaps {
            let (what, why) = (escape(&gap.what), escape(&gap.why));
            let _ = writeln!(page, "<p class=\"bad\">{what} is not to be had: {why}</p>");
        }
        page.push_str("</html>\n");
        page
    }

    fn draw(&self, page: &mut String) {
        let places = self.places();
        let columns = places.iter().map(|(column, _)| column + 1).max().unwrap_or(1);
        let rows = places.iter().map(|(_, row)| row + 1).max().unwrap_or(1);
        let width = columns * (BOX.0 + GAP.0) - GAP.0 + 4;
        let height = rows * (BOX.1 + GAP.1) - GAP.1 + 4;
        let _ = writeln!(
            page,
            "<figure class=\"scroll\"><svg viewBox=\"0 0 {width} {height}\" style=\"min-width:{}px\" role=\"img\">",
            width.min(1600) * 4 / 5,
        );
        for (node, to) in self.nodes.iter().zip(&places) {
            for edge in &node.needs {
                if let Some(from) = edge.node {
                    arrow(page, corner(places[from]), corner(*to), edge.role);
                }
            }
        }
        for (number, (node, place)) in self.nodes.iter().zip(&places).enumerate() {
            draw_box(page, node, corner(*place), number == 0);
        }
        page.push_str("</svg><figcaption>Solid arrows: needed to use it as well; dashed ones: to make it. Dashed boxes are data.</figcaption></figure>\n");
    }

    /// The column and row of each node: right of all that it needs.
    fn places(&self) -> Vec<(usize, usize)> {
        let mut columns = vec![0_usize; self.nodes.len()];
        // Without a circle no chain is longer than there are nodes.
        for _ in 0..self.nodes.len() {
            let mut changed = false;
            for at in 0..self.nodes.len() {
                let below = self.nodes[at].needs.iter().filter_map(|edge| edge.node);
                let column = below.map(|node| columns[node] + 1).max().unwrap_or(0);
                if column > columns[at] && column < self.nodes.len() {
                    columns[at] = column;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        let mut used = std::collections::BTreeMap::<usize, usize>::new();
        let place = |column: &usize| {
            let row = used.entry(*column).or_default();
            *row += 1;
            (*column, *row - 1)
        };
        columns.iter().map(place).collect()
    }

    fn list(&self, page: &mut String) {
        let mut table = Table::new(page, "Parts", &["Part", "What it is", "Licence", "Digest"]);
        for node in &self.nodes {
            table.row(&[
                escape(&title(node)),
                escape(&about(node)),
                escape(node.license()),
                node.digest().map(|it| digest(&it)).unwrap_or_default(),
            ]);
        }
        table.end();
    }
}

fn title(node: &Node) -> String {
    match &node.what {
        What::Package { package, .. } => package.release().to_string(),
        What::Data(material) => material.name.to_string(),
    }
}

fn about(node: &Node) -> String {
    match &node.what {
        What::Package { package, steps, .. } if steps.is_empty() => package.kind.to_string(),
        What::Package { package, steps, .. } => {
            let steps: Vec<&str> = steps.iter().map(crate::package::PartName::as_str).collect();
            format!("{}, by the steps {}", package.kind, steps.join(", "))
        }
        What::Data(material) => format!("{} data, {}", material.role.as_str(), material.from),
    }
}

const fn corner((column, row): (usize, usize)) -> (usize, usize) {
    (2 + column * (BOX.0 + GAP.0), 2 + row * (BOX.1 + GAP.1))
}

fn arrow(page: &mut String, from: (usize, usize), to: (usize, usize), role: EdgeRole) {
    let (x1, y1) = (from.0 + BOX.0, from.1 + BOX.1 / 2);
    let (x2, y2) = (to.0, to.1 + BOX.1 / 2);
    let (bend, role) = (GAP.0 / 2, role.as_str());
    let _ = writeln!(
        page,
        "<path class=\"arrow {role}\" d=\"M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}\"/>",
        x1 + bend,
        x2.saturating_sub(bend),
    );
}

fn draw_box(page: &mut String, node: &Node, (x, y): (usize, usize), is_goal: bool) {
    let class = match (&node.what, is_goal) {
        (_, true) => "box goal",
        (What::Data(_), _) => "box data",
        (What::Package { .. }, _) => "box",
    };
    let second = match &node.what {
        What::Package { package, .. } => format!("{} · {}", package.kind, package.license),
        What::Data(material) => format!("{} data · {}", material.role.as_str(), material.license),
    };
    let third = node.digest().map(|digest| digest.short()).unwrap_or_default();
    let (width, height) = BOX;
    let _ = writeln!(
        page,
        "<g><title>{}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"4\"/>",
        escape(&format!("{}: {}", title(node), about(node))),
    );
    let lines = [("name", title(node), 20), ("", second, 37), ("", third, 53)];
    for (class, line, below) in lines {
        let line: String = line.chars().take(LONGEST_LINE).collect();
        let line = escape(&line);
        let _ = writeln!(
            page,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\">{line}</text>",
            x + 10,
            y + below
        );
    }
    page.push_str("</g>\n");
}
