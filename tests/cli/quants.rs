//! Distances of quantised weights, held against the PyPI package `gguf`, which reads the same blocks.

use std::process::Command;

use crate::support::{Finished, World, python};

/// Writes two files with a tensor of each quantised type, of random blocks whose scales are ordinary
/// numbers, and prints the distances between the two.
const JUDGE: &str = r#"
import json, sys
import numpy as np
from gguf import GGUFWriter, GGMLQuantizationType as Kind, GGML_QUANT_SIZES
from gguf.quants import dequantize

# Where the half-precision scales of a block lie.
SCALES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64],
          "MXFP4": []}
draw = np.random.default_rng(1)

def blocks(kind, count):
    found = draw.integers(0, 256, (count, GGML_QUANT_SIZES[Kind[kind]][1]), dtype=np.uint8)
    for place in SCALES[kind]:
        scales = draw.uniform(-2, 2, count).astype(np.float16)
        found[:, place:place + 2] = scales.view(np.uint8).reshape(count, 2)
    if kind == "MXFP4":
        found[:, 0] = draw.integers(120, 134, count)
    return found

facts, files = {}, [GGUFWriter(path, "llama") for path in sys.argv[1:3]]
for kind in SCALES:
    one, other = blocks(kind, 40), blocks(kind, 40)
    other[:20] = one[:20]
    for file, stored in zip(files, (one, other)):
        file.add_tensor(kind, stored.reshape(8, -1), raw_dtype=Kind[kind])
    a, b = (dequantize(stored, Kind[kind]).astype(np.float64).ravel() for stored in (one, other))
    facts[kind] = {"elements-changed": int((a != b).sum()), "max-abs": np.abs(a - b).max(),
                   "relative-l2": np.linalg.norm(a - b) / np.linalg.norm(a),
                   "cosine": a @ b / np.linalg.norm(a) / np.linalg.norm(b)}
for file in files:
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
print(json.dumps(facts))
"#;

#[test]
fn distances_of_every_quantised_type_are_those_that_gguf_finds() {
    let python = python::venv("gguf-quants", &["gguf==0.19.0", "numpy==2.4.6"]);
    let world = World::new();
    let script = world.write("judge.py", JUDGE);
    let (one, two) = (world.path("one.gguf"), world.path("two.gguf"));
    let mut command = Command::new(python);
    let expected = Finished::of(command.arg(script).arg(&one).arg(&two)).succeeds().json();
    let finished = world.run(["--json", "diff", "one.gguf", "two.gguf"]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let found = finished.json();
    let facts = &found["weights"];
    assert_eq!((&facts["tensors"], &facts["unmeasured"]), (&15.into(), &0.into()), "{facts:#}");
    for tensor in facts["changed"].as_array().expect("tensors") {
        let name = tensor["name"].as_str().expect("a name");
        let expected = &expected[name];
        for fact in ["max-abs", "relative-l2", "cosine"] {
            let (ours, theirs) = (tensor[fact].as_f64(), expected[fact].as_f64());
            let (ours, theirs) = (ours.expect("measured"), theirs.expect("a number"));
            // gguf reckons in 32 bits.
            assert!(
                (ours - theirs).abs() <= 1e-5 * theirs.abs().max(1e-2),
                "{name} {fact}: {ours} {theirs}"
            );
        }
        // Values that are next to each other may be one in 32 bits.
        let (ours, theirs) = (&tensor["elements-changed"], &expected["elements-changed"]);
        let (ours, theirs) = (ours.as_u64().unwrap(), theirs.as_u64().unwrap());
        assert!(ours >= theirs && ours <= theirs + theirs / 100 + 2, "{name}: {ours} {theirs}");
    }
}
