//! Remarks on steps, tests, the environment and the code that they run.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::{Facts, FileFacts, Remarks};
use crate::package::Kind;
use crate::package::manifest::{Level, Manifest, Part, Placeholder, Step, Template, Variant};

/// A step that may run so long should leave checkpoints behind.
const LONG: Duration = Duration::from_hours(6);
/// Programs that fetch.
const FETCHERS: &[&str] = &[
    "curl",
    "wget",
    "git",
    "pip",
    "pip3",
    "uv",
    "npm",
    "aws",
    "gsutil",
    "rsync",
    "scp",
    "ssh",
    "huggingface-cli",
    "hf",
    "kaggle",
    "gdown",
    "aria2c",
];
/// Modules that do not come with Python and that training code often imports.
const FOREIGN: &[&str] = &[
    "numpy",
    "scipy",
    "pandas",
    "torch",
    "torchvision",
    "transformers",
    "tokenizers",
    "safetensors",
    "datasets",
    "sklearn",
    "jax",
    "flax",
    "tensorflow",
    "keras",
    "accelerate",
    "peft",
    "sentencepiece",
    "tiktoken",
    "lightgbm",
    "xgboost",
    "einops",
    "tqdm",
    "requests",
    "yaml",
    "PIL",
    "cv2",
    "gguf",
    "onnx",
    "polars",
    "pyarrow",
];
/// Words in the name of a variant that was quantised.
const QUANTISED: &[&str] =
    &["int8", "int4", "nf4", "awq", "gptq", "fp8", "fp4", "quantised", "quantized"];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("it is a pattern")
}

static IMPORT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?m)^\s*(?:from\s+([A-Za-z_]\w*)[\w.]*\s+import|import\s+([A-Za-z_]\w*))")
});
static RANDOM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?m)^\s*(import random\b|from random import)|np\.random\.|numpy\.random|torch\.(rand|randn|randint|randperm|manual_seed)\b|nn\.Dropout|default_rng",
    )
});
static UNSEEDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"SystemRandom\(|os\.urandom\(|\bsecrets\.|default_rng\(\)|\bseed\(\s*(None)?\s*\)|\bRandom\(\s*\)|seed\w*\s*[=(]\s*(int\()?\s*time\.|PCG64\(\s*\)",
    )
});
static FETCHES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"urllib\.request|\brequests\.(get|post)\(|\bhttpx\.|hf_hub_download|snapshot_download|load_dataset\(|urlretrieve|torch\.hub\.|gdown\.",
    )
});
static HUB: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"from_pretrained\(\s*["']([\w.-]+/[\w.-]+)["']|base_model_name_or_path["']?\s*[:=]\s*["']([\w.-]+/[\w.-]+)["']"#,
    )
});

pub(super) fn check(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    for step in &manifest.steps {
        self::step(manifest, step, remarks);
    }
    for test in &manifest.tests {
        paths(test.name.as_str(), &test.run, remarks);
    }
    unused(manifest, remarks);
    for variant in &manifest.variants {
        quantised(manifest, variant, remarks);
    }
    code(facts, manifest, remarks);
    environment(facts, manifest, remarks);
    base(facts, manifest, remarks);
}

/// The text of an argument, placeholders left out.
fn plain(argument: &Template) -> String {
    let text = argument.parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Placeholder(_) => None,
    });
    text.collect()
}

fn program(run: &[Template]) -> String {
    let first = run.first().map(plain).unwrap_or_default();
    first.rsplit('/').next().unwrap_or_default().to_owned()
}

fn step(manifest: &Manifest, step: &Step, remarks: &mut Remarks) {
    let (name, program) = (step.name.as_str(), program(&step.run));
    let arguments: Vec<String> = step.run.iter().map(plain).collect();
    let installs = arguments.windows(2).any(|pair| pair[0] == "-m" && pair[1] == "pip");
    if FETCHERS.contains(&program.as_str()) || installs {
        remarks.add("network-in-step", name, format!("it runs {}", arguments.join(" ")));
    }
    let is_shell = ["sh", "bash", "dash", "zsh"].contains(&program.as_str());
    if is_shell && arguments.iter().any(|argument| argument == "-c") {
        remarks.add("shell-in-step", name, format!("it runs {program} -c"));
        let script = arguments.join(" ");
        let fetcher = script.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
        if let Some(fetcher) = fetcher.into_iter().find(|word| ["curl", "wget"].contains(word)) {
            remarks.add("network-in-step", name, format!("its script runs {fetcher}"));
        }
    }
    paths(name, &step.run, remarks);
    if step.resources.time >= LONG && step.checkpoints.is_none() {
        remarks.add("checkpoint-chain-missing", name, "it has no `checkpoints`");
    }
    if step.resources.gpus > 0 && manifest.reproducibility.level == Level::Bitwise {
        remarks.add("gpu-bitwise", name, "it uses GPUs, and level is \"bitwise\"");
    }
}

fn paths(name: &str, run: &[Template], remarks: &mut Remarks) {
    for argument in run {
        let Some(Part::Text(text)) = argument.parts.first() else { continue };
        let text = text.split_once('=').map_or(text.as_str(), |(_, value)| value);
        let is_system = ["/bin/", "/usr/", "/dev/", "/etc/", "/proc/"];
        if text.starts_with('/')
            && text.len() > 1
            && !is_system.iter().any(|it| text.starts_with(it))
        {
            remarks.add("absolute-path", name, format!("it names {text}"));
        }
    }
}

fn placeholders(manifest: &Manifest) -> impl Iterator<Item = &Placeholder> {
    let steps = manifest.steps.iter().flat_map(|step| &step.run);
    let tests = manifest.tests.iter().flat_map(|test| &test.run);
    let probes = manifest.probes.iter().flat_map(|probe| &probe.run);
    steps.chain(tests).chain(probes).flat_map(Template::placeholders)
}

fn unused(manifest: &Manifest, remarks: &mut Remarks) {
    for step in &manifest.steps {
        let packed = manifest.variants.iter().any(|variant| variant.from == step.name);
        let used = manifest.steps.iter().any(|other| other.needs.contains(&step.name));
        if !packed && !used {
            let what = "no variant packs its output, and no step needs it";
            remarks.add("step-unused", step.name.as_str(), what);
        }
    }
    for dependency in &manifest.build_dependencies {
        let is_environment = manifest.environment.package.as_ref() == Some(&dependency.name);
        let names_it = |one: &Placeholder| matches!(one, Placeholder::Dependency(name) if *name == dependency.name);
        if !is_environment && !placeholders(manifest).any(names_it) {
            let what = format!("nothing names {{dep.{}}}", dependency.name);
            remarks.add("dependency-unused", dependency.name.as_str(), what);
        }
    }
}

fn quantised(manifest: &Manifest, variant: &Variant, remarks: &mut Remarks) {
    let name = variant.name.as_str().to_lowercase();
    let is_gguf = name.len() >= 2
        && (name.starts_with('q') || name.starts_with("iq"))
        && name.trim_start_matches(['i', 'q']).starts_with(|c: char| c.is_ascii_digit());
    if !is_gguf && !QUANTISED.iter().any(|word| name.contains(word)) {
        return;
    }
    let Some(step) = manifest.steps.iter().find(|step| step.name == variant.from) else { return };
    let uses_other = step
        .run
        .iter()
        .flat_map(Template::placeholders)
        .any(|one| matches!(one, Placeholder::Dependency(_) | Placeholder::Step(_)));
    if !uses_other && step.needs.is_empty() {
        let what = format!("its step `{}` takes nothing from a step or a dependency", step.name);
        remarks.add("quantised-without-parent", variant.name.as_str(), what);
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The Python files that steps run, and those in the tree that these import.
fn recipe_code<'a>(facts: &'a Facts<'_>, manifest: &Manifest) -> Vec<(&'a FileFacts, &'a str)> {
    let find = |path: &str| facts.files.iter().find(|file| file.path == path);
    let arguments = manifest.steps.iter().flat_map(|step| &step.run).map(plain);
    let mut open: Vec<String> = arguments.filter(|text| text.ends_with(".py")).collect();
    let mut seen = BTreeSet::new();
    let mut code = Vec::new();
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let Some((file, text)) = find(&path).and_then(|file| Some((file, file.text()?))) else {
            continue;
        };
        code.push((file, text));
        let folder =
            path.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        for module in modules(text) {
            open.push(format!("{folder}{module}.py"));
            open.push(format!("{folder}{module}/__init__.py"));
        }
    }
    code.sort_by(|one, other| one.0.path.cmp(&other.0.path));
    code
}

fn modules(text: &str) -> BTreeSet<&str> {
    let found = IMPORT.captures_iter(text);
    found.filter_map(|found| found.get(1).or(found.get(2)).map(|it| it.as_str())).collect()
}

fn code(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    let recipe = recipe_code(facts, manifest);
    let has_seed = manifest.steps.iter().any(|step| step.seed.is_some());
    for (file, text) in &recipe {
        for found in UNSEEDED.find_iter(text) {
            let what = format!("it has {}", found.as_str().trim());
            remarks.add_at(
                "seed-random",
                file.path.clone(),
                Some(line_of(text, found.start())),
                what,
            );
        }
        if !has_seed && let Some(found) = RANDOM.find(text) {
            let what = format!("it draws random numbers ({})", found.as_str().trim());
            remarks.add_at(
                "seed-missing",
                file.path.clone(),
                Some(line_of(text, found.start())),
                what,
            );
        }
    }
    for file in facts.files.iter().filter(|file| file.ends_in(".py")) {
        let Some(text) = file.text() else { continue };
        if let Some(found) = FETCHES.find(text) {
            let what = format!("it has {}", found.as_str());
            remarks.add_at(
                "network-in-code",
                file.path.clone(),
                Some(line_of(text, found.start())),
                what,
            );
        }
        if let Some(found) = HUB.captures(text) {
            let model = found.get(1).or(found.get(2)).map_or("", |it| it.as_str());
            let start = found.get(0).map_or(0, |it| it.start());
            let what = format!("it takes {model} from a hub");
            let line = Some(line_of(text, start));
            remarks.add_at("base-model-not-a-dependency", file.path.clone(), line, what);
        }
    }
}

fn environment(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    let environment = &manifest.environment;
    let runs =
        manifest.steps.iter().map(|step| &step.run).chain(manifest.tests.iter().map(|it| &it.run));
    let runs_python = runs.into_iter().any(|run| program(run).starts_with("python"));
    if runs_python && environment.python.is_none() && environment.package.is_none() {
        remarks.add("python-unpinned", "mpkg.toml", "[environment] has no `python`");
    }
    if environment.lock.is_some() || environment.package.is_some() {
        return;
    }
    let mut foreign: Vec<(&str, &str)> = Vec::new();
    for file in facts.files.iter().filter(|file| file.ends_in(".py")) {
        let modules = file.text().map(modules).unwrap_or_default();
        for module in FOREIGN.iter().filter(|module| modules.contains(*module)) {
            let is_here = facts.files.iter().any(|other| other.path == format!("{module}.py"));
            if !is_here && foreign.iter().all(|(known, _)| known != module) {
                foreign.push((module, &file.path));
            }
        }
    }
    for (module, path) in foreign {
        let what = format!("it imports {module}, and [environment] has no `lock`");
        remarks.add("environment-unpinned", path, what);
    }
}

fn base(facts: &Facts<'_>, manifest: &Manifest, remarks: &mut Remarks) {
    let has_needs = !manifest.dependencies.is_empty() || !manifest.build_dependencies.is_empty();
    if manifest.package.kind == Kind::Adapter && !has_needs && manifest.steps.len() == 1 {
        let what = "it is an adapter, needs no package, and has no step that makes a base";
        remarks.add("base-model-not-a-dependency", "mpkg.toml", what);
    }
    let takes_tokenizer = manifest.package.kind == Kind::Model && !has_needs;
    let vocabularies =
        ["tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model"];
    for file in facts.files {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if takes_tokenizer && vocabularies.contains(&name) {
            remarks.add("tokenizer-not-built", file.path.clone(), "it is a finished vocabulary");
        }
    }
}
