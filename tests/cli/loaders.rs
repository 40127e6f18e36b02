//! Programs that we did not write load what `mpkg install` puts in place.
//!
//! The packages come from the committed registry of the examples. What is compared stands in
//! `registry-example/check_loaders.py`; each test runs one of its checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::examples::{example, folder, install, requirements};
use crate::support::{Finished, World, npm, python};

/// Runs one check of `check_loaders.py`, and gives the line that it prints.
#[track_caller]
fn check(name: &str, folders: &[&Path], search_path: Option<&str>) -> String {
    let packages = requirements("check_loaders_requirements.txt");
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    let python = python::venv("loaders", &packages);
    let mut command = Command::new(python);
    command.arg(example("check_loaders.py")).arg(name).args(folders);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("HF_HUB_OFFLINE", "1");
    if let Some(search_path) = search_path {
        command.env("PATH", search_path);
    }
    Finished::of(&mut command).succeeds().stdout
}

#[test]
fn tokenizers_gives_our_ids() {
    let world = World::new();
    install(&world, &["docs-tokenizer", "docs-corpus"]);
    let folders = [folder(&world, "docs-tokenizer"), folder(&world, "docs-corpus")];
    let said = check("tokenizer", &[&folders[0], &folders[1]], None);
    assert!(said.starts_with("tokenizers "), "{said}");
}

/// `transformers` reads configuration, generation settings and tokenizer, and makes the same ids;
/// `safetensors` reads the weights, whose names and shapes are those that `LlamaForCausalLM` has
/// for that configuration.
///
/// The class itself is not run, so its logits are not compared here: it needs torch, which is
/// many times as large as all else that these tests install. That the weights mean to
/// others what they mean to us is shown by `llama_cpp_continues_as_we_do`.
#[test]
fn transformers_and_safetensors_load_the_model() {
    let world = World::new();
    install(&world, &["docs-lm"]);
    let said = check("model", &[&folder(&world, "docs-lm")], None);
    assert!(said.contains("Llama of"), "{said}");
}

#[test]
fn gguf_reads_the_quantised_weights() {
    let (quantised, exact) = (World::new(), World::new());
    install(&quantised, &["docs-lm:q8_0"]);
    install(&exact, &["docs-lm:f32"]);
    let folders = [folder(&quantised, "docs-lm"), folder(&exact, "docs-lm")];
    let said = check("gguf", &[&folders[0], &folders[1]], None);
    assert!(said.starts_with("gguf: "), "{said}");
}

/// The adapter brings the model that it changes. peft, which needs torch, is not run: names and
/// shapes are those that it gives to the modules listed in `adapter_config.json`.
#[test]
fn safetensors_reads_the_adapter() {
    let world = World::new();
    install(&world, &["docs-lm-lora"]);
    let folders = [folder(&world, "docs-lm-lora"), folder(&world, "docs-lm")];
    let said = check("adapter", &[&folders[0], &folders[1]], None);
    assert!(said.starts_with("adapter: "), "{said}");
}

/// llama.cpp, installed by npm, cuts texts into our ids and continues them with our words.
#[test]
fn llama_cpp_continues_as_we_do() {
    let machine = match std::env::consts::ARCH {
        "aarch64" => "@node-llama-cpp/linux-arm64@3.22.1",
        _ => "@node-llama-cpp/linux-x64@3.22.1",
    };
    let node = npm::installed("node-llama-cpp", &["node-llama-cpp@3.22.1", machine]);
    let world = World::new();
    install(&world, &["docs-lm:q8_0"]);
    let folders = [folder(&world, "docs-lm"), node.folder];
    let said = check("llama-cpp", &[&folders[0], &folders[1]], Some(&node.search_path));
    assert!(said.starts_with("llama.cpp: the same ids"), "{said}");
}

#[test]
fn a_safetensors_reader_in_rust_finds_the_tensors() {
    let world = World::new();
    install(&world, &["docs-lm"]);
    let model = folder(&world, "docs-lm");
    let bytes = std::fs::read(model.join("model.safetensors")).expect("the weights");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("sound weights");
    let config = std::fs::read(model.join("config.json")).expect("the configuration");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");

    let found: BTreeMap<String, Vec<usize>> =
        tensors.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect();
    assert_eq!(found, llama_shapes(&config));
    assert!(tensors.iter().all(|(_, view)| view.dtype() == safetensors::Dtype::F32));
}

/// The parameters of a Llama with tied embeddings and as many key heads as `config` says.
fn llama_shapes(config: &serde_json::Value) -> BTreeMap<String, Vec<usize>> {
    let number = |name: &str| {
        let value = config[name].as_u64().unwrap_or_else(|| panic!("{name} in {config}"));
        usize::try_from(value).expect("a small number")
    };
    let (wide, inner) = (number("hidden_size"), number("intermediate_size"));
    let heads = number("num_attention_heads");
    let keys = wide / heads * number("num_key_value_heads");
    let mut shapes = BTreeMap::from([
        ("model.embed_tokens.weight".to_owned(), vec![number("vocab_size"), wide]),
        ("model.norm.weight".to_owned(), vec![wide]),
    ]);
    for layer in 0..number("num_hidden_layers") {
        for (name, shape) in [
            ("input_layernorm", vec![wide]),
            ("post_attention_layernorm", vec![wide]),
            ("self_attn.q_proj", vec![wide, wide]),
            ("self_attn.k_proj", vec![keys, wide]),
            ("self_attn.v_proj", vec![keys, wide]),
            ("self_attn.o_proj", vec![wide, wide]),
            ("mlp.gate_proj", vec![inner, wide]),
            ("mlp.up_proj", vec![inner, wide]),
            ("mlp.down_proj", vec![wide, inner]),
        ] {
            shapes.insert(format!("model.layers.{layer}.{name}.weight"), shape);
        }
    }
    shapes
}
