//! The tags of lint: what each means, and what to do about it.

use std::fmt;

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A matter of taste.
    Pedantic,
    /// Worth knowing.
    Info,
    /// Should be mended before publishing.
    Warning,
    /// Must be mended.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pedantic => "pedantic",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A kind of remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it means, and what to do.
    pub explanation: &'static str,
}

const fn tag(name: &'static str, severity: Severity, explanation: &'static str) -> Tag {
    Tag { name, severity, explanation }
}

use Severity::{Error, Info, Pedantic, Warning};

/// Every tag, by name.
pub const TAGS: &[Tag] = &[
    tag(
        "absolute-path",
        Warning,
        "A step or test names a place on somebody's machine. In the sandbox it is not there. Put the file into the tree, or name it as data.",
    ),
    tag(
        "bad-manifest",
        Error,
        "mpkg.toml breaks a rule of its format, so nothing can be built. `mpkg build` shows the line and what was meant.",
    ),
    tag(
        "base-model-not-a-dependency",
        Error,
        "The package stands on a base model that is not among its dependencies: an adapter without dependencies whose recipe makes no base, or code that names a model of a hub. Nobody can tell then what it was made from. Package the base, and name it in [dependencies].",
    ),
    tag(
        "changelog-missing",
        Warning,
        "There is no CHANGELOG.md, so nobody sees what a new version changes.",
    ),
    tag(
        "changelog-without-version",
        Warning,
        "CHANGELOG.md has no heading for the version in mpkg.toml. Say what changed, or correct the version.",
    ),
    tag(
        "checkpoint-chain-missing",
        Warning,
        "A step may run for six hours or more and writes no checkpoints: whoever wants to check it must repeat it all at once. State `checkpoints`, `resume` and `until`.",
    ),
    tag(
        "code-not-utf8",
        Warning,
        "A text file is not UTF-8. Programs on other machines will read something else in it.",
    ),
    tag("data-empty", Warning, "A piece of data in the tree holds nothing."),
    tag(
        "data-unused",
        Warning,
        "A data reference is used by no step, test or probe. Remove it, or use it: whoever reads the manifest takes it for training data.",
    ),
    tag(
        "data-without-digest",
        Error,
        "A data reference with addresses has no sha256, so nobody can tell whether the bytes there are still the same.",
    ),
    tag(
        "dependency-unused",
        Warning,
        "A build dependency is named by no step, test or probe ({dep.NAME}), and is not the environment.",
    ),
    tag(
        "duplicate-data",
        Warning,
        "Two data references with the same role are the same bytes: a model would see them twice.",
    ),
    tag(
        "environment-unpinned",
        Warning,
        "The code imports packages that Python does not bring along, and [environment] has no lock file: the build takes whatever is on the machine. Lock them with their hashes.",
    ),
    tag(
        "executable-not-a-program",
        Info,
        "A file may be executed and is no program (it does not begin with #!). Take the mode away: chmod -x.",
    ),
    tag(
        "floating-reference",
        Warning,
        "An address names a branch or the latest version, whose bytes will change. Name a tag, a commit or a version.",
    ),
    tag(
        "gpu-bitwise",
        Info,
        "A step with GPUs promises bitwise reproducibility, which few kernels keep. Check it with `mpkg rebuild` on another machine, or promise less.",
    ),
    tag("homepage-missing", Pedantic, "No homepage says where questions are answered."),
    tag(
        "large-file",
        Warning,
        "A file of 16 MiB or more stands in the tree. Data is better named by address and digest, and stored with `mpkg registry mirror-data`.",
    ),
    tag(
        "license-conflict",
        Warning,
        "Licences of things that go into the package are held not to go together. `mpkg licenses` shows all of them. This is no legal advice: find out, and override with the reason.",
    ),
    tag(
        "license-evidence-missing",
        Warning,
        "A data reference does not say where its licence is stated (license-evidence): a file in the data or in the tree, or an address.",
    ),
    tag(
        "license-evidence-not-there",
        Error,
        "The file that license-evidence names is neither in the tree nor can it be in the data.",
    ),
    tag(
        "license-text-missing",
        Warning,
        "LICENSES/ lacks the text of a licence that the manifest names: LICENSES/ID.txt.",
    ),
    tag("license-text-unused", Info, "LICENSES/ has a text that the manifest names nowhere."),
    tag(
        "license-unknown",
        Warning,
        "A licence is stated in words that say that it is not known. What is not known is not free: find out, or leave the data out.",
    ),
    tag(
        "lock-missing",
        Warning,
        "The tree has dependencies and no mpkg.lock: a build of it takes whatever is the newest. `mpkg fetch` writes it.",
    ),
    tag("maintainer-missing", Pedantic, "Nobody is named who looks after the package."),
    tag(
        "model-card-empty",
        Warning,
        "README.md, the model card, says next to nothing. Say what it is for, what it was made from, how it was measured, and what it must not be used for.",
    ),
    tag("model-card-missing", Warning, "There is no README.md, the model card."),
    tag(
        "model-card-not-packed",
        Warning,
        "No variant packs README.md, so users do not get the model card.",
    ),
    tag("model-card-todo", Warning, "README.md has a place that is still to be filled in."),
    tag(
        "network-in-code",
        Warning,
        "Code in the tree fetches something. Steps have no network: name it as data or as a dependency.",
    ),
    tag(
        "network-in-step",
        Error,
        "A step runs a program that fetches something. Steps have no network: name it in [[data]] with its digest.",
    ),
    tag(
        "override-expired",
        Warning,
        "An override in lint.toml is past its date and counts no more. Mend what it is about, or give it a new date and a reason that still holds.",
    ),
    tag(
        "override-unused",
        Info,
        "An override in lint.toml is about nothing that lint finds any more. Remove it.",
    ),
    tag(
        "personal-data",
        Warning,
        "Data in the tree has several e-mail addresses or telephone numbers. Who gave them away may not have meant them for a model: leave them out, or withdraw them with `mpkg exclude`.",
    ),
    tag(
        "pickle",
        Error,
        "A file is a pickle, which runs code when it is loaded. Write weights as safetensors or GGUF.",
    ),
    tag(
        "plain-http",
        Warning,
        "An address begins with http:. Nobody can change bytes whose digest is known, but everybody on the way sees them, and can keep them back.",
    ),
    tag(
        "probe-missing",
        Warning,
        "Only equal behaviour is promised, and no [[probe]] has predictions that a rebuild can be held against. A bound on a metric does not see a model that is wrong for a few inputs.",
    ),
    tag(
        "python-unpinned",
        Info,
        "Steps run Python, and [environment] does not say which versions will do.",
    ),
    tag(
        "quantised-without-parent",
        Warning,
        "A variant's name says that it is quantised, and its step takes nothing from another step and from no dependency: what it was made from is not in the recipe.",
    ),
    tag(
        "reproducibility-missing",
        Info,
        "Nothing is said about how alike a rebuild will be ([reproducibility]).",
    ),
    tag(
        "secret-in-tree",
        Error,
        "A file holds a private key or an access token. Everybody gets the source package: take it out, and revoke it.",
    ),
    tag(
        "seed-missing",
        Warning,
        "Code of the recipe draws random numbers, and no step has a seed: every build is another one.",
    ),
    tag(
        "seed-random",
        Warning,
        "Code of the recipe takes a seed or random numbers from the machine (the time, the operating system, no seed at all): no build can be repeated.",
    ),
    tag(
        "shell-in-step",
        Info,
        "A step is a shell script in one argument: lint cannot see what it runs. Put it in a file, or make steps of it.",
    ),
    tag(
        "single-address",
        Warning,
        "Data has one address alone, and is gone when that is. Add a mirror, or store it with `mpkg registry mirror-data`.",
    ),
    tag(
        "step-unused",
        Warning,
        "The output of a step is packed by no variant and used by no other step.",
    ),
    tag(
        "summary-style",
        Pedantic,
        "The summary is one short line in sentence case without a full stop, and does not begin with the package's name.",
    ),
    tag(
        "tasks-missing",
        Pedantic,
        "Nothing says what the model can be used for (tasks), so `mpkg search` finds it by its name alone.",
    ),
    tag(
        "test-data-in-training-data",
        Error,
        "Data for testing or validation is also trained on, or much of its text is: results say nothing then.",
    ),
    tag("test-missing", Warning, "No [[test]] says what the result must be able to do."),
    tag(
        "test-uses-training-data",
        Info,
        "A test measures on data that is trained on. That is fine where the code keeps a part of it apart.",
    ),
    tag(
        "tokenizer-not-built",
        Warning,
        "A vocabulary stands in the tree as a finished file: nobody can change it and build again. Build it in a step, or depend on a tokenizer package.",
    ),
    tag("truncated-digest", Error, "A sha256 does not have 64 hexadecimal digits."),
    tag(
        "weights-header",
        Info,
        "The header of a safetensors file is not in the canonical form, so equal tensors make other bytes.",
    ),
    tag(
        "weights-in-source",
        Error,
        "Finished weights stand in the source without a recipe. A source package holds what weights are made from. Name weights of others as data, or depend on their package.",
    ),
];

/// The tag called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Tag> {
    TAGS.iter().find(|tag| tag.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_many_in_order_and_explained() {
        assert!(TAGS.len() >= 50, "{}", TAGS.len());
        assert!(TAGS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(TAGS.iter().all(|tag| tag.explanation.ends_with('.')));
    }
}
