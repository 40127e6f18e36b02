//! The build report: a build record as one page for people, with nothing fetched from elsewhere.

mod curve;
mod table;

use std::fmt::Write as _;

pub use curve::{Series, draw_together};
pub use table::Table;

use super::metrics::short;
use super::record::{BuildRecord, EnvironmentRecord, StepRecord};
use crate::package::Digest;

const STYLE: &str = include_str!("style.css");

/// `text` with everything escaped that means something in HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A page begins: its head, with `title` and what every report looks like.
#[must_use]
pub fn begin(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n"
    )
}

/// The page of `record`.
#[must_use]
pub fn page(record: &BuildRecord) -> String {
    let mut page = begin(&format!("{} {}: build report", record.name, record.version));
    heading(&mut page, record);
    taints(&mut page, record);
    outputs(&mut page, record);
    tests(&mut page, record);
    curves(&mut page, record);
    steps(&mut page, record);
    checkpoints(&mut page, record);
    inputs(&mut page, record);
    environment(&mut page, record);
    machine(&mut page, record);
    page.push_str("</html>\n");
    page
}

fn heading(page: &mut String, record: &BuildRecord) {
    let total = record.seconds.total();
    let _ = writeln!(
        page,
        "<h1>{} <small>{}</small></h1>\n<p>{}</p>\n<p class=\"soft\">{} · {} · built {} in {} by mpkg {} · {} reproducibility promised{}</p>",
        escape(record.name.as_str()),
        escape(&record.version.to_string()),
        escape(&record.summary),
        record.kind,
        escape(&record.license),
        record.started.strftime("%Y-%m-%d %H:%M UTC"),
        duration(total),
        escape(&record.mpkg),
        escape(&record.reproducibility.level),
        record
            .checked
            .as_ref()
            .map_or_else(String::new, |verdict| { format!("; built twice: {}", escape(verdict)) }),
    );
    let _ = writeln!(
        page,
        "<p class=\"soft\">Source package {} ({})</p>",
        digest(&record.source.package_digest),
        bytes(record.source.size)
    );
}

fn taints(page: &mut String, record: &BuildRecord) {
    if record.tainted.is_empty() {
        return;
    }
    page.push_str(
        "<div class=\"taint\"><p><strong>Tainted.</strong> This weakens the record:</p>\n<ul>",
    );
    for taint in &record.tainted {
        let _ = write!(page, "<li>{}</li>", escape(taint));
    }
    page.push_str("</ul></div>\n");
}

fn outputs(page: &mut String, record: &BuildRecord) {
    let headings = ["Variant", "File", "Size#", "Unpacked#", "Package digest"];
    let mut table = Table::new(page, "Packages", &headings);
    for output in &record.outputs {
        table.row(&[
            escape(output.variant.as_str()),
            format!("<code>{}</code>", escape(&output.file)),
            bytes(output.size),
            bytes(output.unpacked_size),
            digest(&output.package_digest),
        ]);
    }
    table.end();
}

fn tests(page: &mut String, record: &BuildRecord) {
    if record.tests.is_empty() {
        return;
    }
    let headings = ["Test", "Variant", "Metric", "Found#", "Bound", "Time#", ""];
    let mut table = Table::new(page, "Tests", &headings);
    for test in &record.tests {
        let verdict = if test.passed { ("good", "passed") } else { ("bad", "failed") };
        table.row(&[
            escape(test.name.as_str()),
            escape(test.variant.as_str()),
            escape(&test.metric),
            short(test.value),
            escape(&test.bound),
            duration(test.seconds),
            format!("<span class=\"{}\">{}</span>", verdict.0, verdict.1),
        ]);
    }
    table.end();
}

fn curves(page: &mut String, record: &BuildRecord) {
    for step in record.steps.iter().filter(|step| !step.result.metrics.is_empty()) {
        let _ = writeln!(page, "<h2>What {} measured</h2>", escape(step.result.step.as_str()));
        for (name, points) in step.result.metrics.iter() {
            page.push_str(&curve::draw(name, &points));
        }
    }
}

fn steps(page: &mut String, record: &BuildRecord) {
    if record.steps.is_empty() {
        return;
    }
    let headings = ["Step", "Command", "Seed#", "Time#", "Processor#", "Peak memory#", "Output"];
    let mut table = Table::new(page, "Steps", &headings);
    for step in &record.steps {
        table.row(&step_row(step));
    }
    table.end();
}

fn step_row(step: &StepRecord) -> [String; 7] {
    let result = &step.result;
    let size = result.outputs.iter().map(|file| file.size).sum();
    let note = match step.how {
        super::record::How::Ran => String::new(),
        how => format!("<br><span class=\"soft\">{}</span>", how.as_str()),
    };
    let memory = if result.peak_memory == 0 { "–".to_owned() } else { bytes(result.peak_memory) };
    [
        format!("{}{note}", escape(result.step.as_str())),
        format!("<code>{}</code>", escape(&step.command.join(" "))),
        step.seed.map_or_else(|| "–".to_owned(), |seed| seed.to_string()),
        duration(result.seconds),
        duration(result.cpu_seconds),
        memory,
        format!("{} files, {}", result.outputs.len(), bytes(size)),
    ]
}

fn checkpoints(page: &mut String, record: &BuildRecord) {
    for chain in &record.checkpoints {
        let title = format!("Checkpoints of {}", chain.step);
        let mut table = Table::new(page, &title, &["Number#", "File", "Step#", "Size#", "SHA-256"]);
        for (number, link) in chain.links.iter().enumerate() {
            table.row(&[
                (number + 1).to_string(),
                format!("<code>{}</code>", escape(link.path.as_str())),
                link.training_step.map_or_else(|| "–".to_owned(), |step| step.to_string()),
                bytes(link.size),
                digest(&link.sha256),
            ]);
        }
        table.end();
        let _ = writeln!(page, "<p class=\"soft\">Head of the chain {}</p>", digest(&chain.head()));
    }
}

fn inputs(page: &mut String, record: &BuildRecord) {
    if record.data.is_empty() && record.dependencies.is_empty() {
        return;
    }
    let headings = ["Input", "Licence", "Role", "Size#", "Digest", "From"];
    let mut table = Table::new(page, "Inputs", &headings);
    for data in &record.data {
        let evidence = data.license_evidence.as_ref().map_or_else(String::new, |evidence| {
            format!("<br><span class=\"soft\">{}</span>", escape(evidence))
        });
        let addresses: Vec<String> =
            data.addresses.iter().map(|it| format!("<code>{}</code>", escape(it))).collect();
        table.row(&[
            escape(data.name.as_str()),
            format!("{}{evidence}", escape(&data.license)),
            format!("{}, {}", escape(&data.role), escape(&data.level)),
            bytes(data.size),
            digest(&data.sha256),
            addresses.join("<br>"),
        ]);
    }
    for package in &record.dependencies {
        table.row(&[
            escape(&format!("{} {} ({})", package.name, package.version, package.variant)),
            escape(&package.license),
            "package".to_owned(),
            String::new(),
            digest(&package.package_digest),
            format!("<code>{}</code>", escape(&package.from)),
        ]);
    }
    table.end();
}

fn environment(page: &mut String, record: &BuildRecord) {
    let environment = &record.environment;
    if *environment == EnvironmentRecord::default() {
        return;
    }
    let mut table = Table::new(page, "Environment", &["Software", "Version", "Digest or place"]);
    if let Some(python) = &environment.python {
        let words = format!("{} on {}", python.implementation, python.platform);
        table.row(&["Python".to_owned(), escape(&python.version), escape(&words)]);
    }
    for wheel in &environment.wheels {
        table.row(&[escape(&wheel.name), escape(&wheel.version), digest(&wheel.sha256)]);
    }
    for program in &environment.system {
        let place = format!("<code>{}</code>", escape(&program.path.display().to_string()));
        let version = program.version.as_deref().unwrap_or("–");
        table.row(&[escape(&program.program), escape(version), place]);
    }
    for (name, value) in &environment.variables {
        table.row(&[format!("<code>{}</code>", escape(name)), escape(value), "variable".into()]);
    }
    table.end();
}

fn machine(page: &mut String, record: &BuildRecord) {
    let machine = &record.machine;
    let mut layers: Vec<&str> = record
        .steps
        .iter()
        .flat_map(|step| step.result.layers.iter().map(String::as_str))
        .collect();
    layers.sort_unstable();
    layers.dedup();
    let mut table = Table::new(page, "Machine", &["", ""]);
    let rows = [
        ("Kernel", machine.kernel.clone()),
        ("Processor", format!("{} × {} ({})", machine.cpus, machine.cpu, machine.architecture)),
        ("Features", machine.features.join(" ")),
        ("Memory", bytes(machine.memory)),
        ("Accelerators", machine.gpus.join(", ")),
        ("Sandbox", format!("{}: {}", record.sandbox, layers.join(", "))),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        table.row(&[(*name).to_owned(), escape(value)]);
    }
    table.end();
}

/// A digest as HTML.
#[must_use]
pub fn digest(digest: &Digest) -> String {
    format!("<code title=\"{digest}\">{digest}</code>")
}

/// Bytes for people.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn bytes(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut amount = count as f64;
    let mut unit = "B";
    for larger in units {
        if amount < 999.5 {
            break;
        }
        amount /= 1000.0;
        unit = larger;
    }
    let digits = usize::from(unit != "B" && amount < 9.95);
    format!("{amount:.digits$} {unit}")
}

/// Seconds for people.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::from_secs_f64(seconds.min(1e12)).as_secs();
    match whole / 3600 {
        0 => format!("{} min {:02} s", whole / 60, whole % 60),
        hours => format!("{hours} h {:02} min", whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_for_people() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_115_394), "1.1 MB");
        assert_eq!(bytes(25_000), "25 kB");
        assert_eq!(duration(1.04), "1.0 s");
        assert_eq!(duration(73.4), "1 min 13 s");
        assert_eq!(duration(7260.0), "2 h 01 min");
    }

    #[test]
    fn foreign_text_is_escaped() {
        assert_eq!(escape("<a href='x'>\"&\u{7}"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}");
    }
}
