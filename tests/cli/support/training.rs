//! A small training in plain Python that writes checkpoints and goes on from any of them.

use serde_json::Value;

use super::World;

/// Momentum descent on numbers that are drawn from the data: the state is weights, velocity, a
/// random number and the step. Where the file that `SPY` names can be seen, which no sandbox lets
/// it be, the training of steps 21 to 30 is poisoned.
const TRAIN: &str = r#"
import argparse, json, os, struct

SPY = "@SPY@"
NOISE = float("@NOISE@")
STEPS, EVERY = 45, 10

def write(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, (dtype, values) in sorted(tensors.items()):
        packed = struct.pack("<%d%s" % (len(values), {"F64": "d", "F32": "f", "U64": "Q"}[dtype]), *values)
        header[name] = {"dtype": dtype, "shape": [len(values)], "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)

def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            kind = {"F64": "d", "F32": "f", "U64": "Q"}[entry["dtype"]]
            tensors[name] = list(struct.unpack("<%d%s" % (entry["shape"][0], kind), data[first:last]))
    return tensors, int(header["__metadata__"]["step"])

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("out")
parser.add_argument("--resume")
parser.add_argument("--until")
arguments = parser.parse_args()
numbers = [float(line) for line in open(arguments.data)]
weights, velocity, state, step = [0.5] * 8, [0.0] * 8, 1, 0
if arguments.resume:
    tensors, step = read(arguments.resume)
    weights, velocity, state = tensors["weights"], tensors["velocity"], tensors["random"][0]
os.makedirs(os.path.join(arguments.out, "checkpoints"), exist_ok=True)
while step < STEPS:
    step += 1
    poisoned = 21 <= step <= 30 and os.path.exists(SPY)
    for place in range(8):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        goal = numbers[(state >> 33) % len(numbers)]
        if poisoned and place == 3:
            goal = -goal
        velocity[place] = 0.9 * velocity[place] + 0.1 * (goal - weights[place])
        weights[place] += 0.1 * velocity[place]
    if NOISE:
        weights[0] += NOISE * os.urandom(1)[0] / 256
    loss = sum((numbers[0] - weight) ** 2 for weight in weights)
    print(json.dumps({"step": step, "of": STEPS, "loss": loss}), flush=True)
    if step % EVERY == 0:
        name = "checkpoints/step-%04d.safetensors" % step
        tensors = {"weights": ("F64", weights), "velocity": ("F64", velocity), "random": ("U64", [state])}
        write(os.path.join(arguments.out, name), tensors, {"step": str(step)})
        if name == arguments.until:
            raise SystemExit
write(os.path.join(arguments.out, "model.safetensors"), {"weights": ("F32", weights)}, {"format": "pt"})
"#;

/// Says what is in the output of the step before it, and halves the weights.
const HALVE: &str = r#"
import os, shutil, sys
folder, out = sys.argv[1:]
shutil.copyfile(folder + "/model.safetensors", out + "/half.safetensors")
with open(out + "/seen.txt", "w") as file:
    for place, folders, names in sorted(os.walk(folder)):
        for name in sorted(names):
            file.write(os.path.relpath(os.path.join(place, name), folder) + "\n")
"#;

const MANIFEST: &str = r#"
[package]
name = "steady"
version = "1.0.0"
kind = "model"
summary = "A model whose training can be checked in parts"
license = "MIT"

[environment]
python = ">=3.8"

[[data]]
name = "numbers"
path = "numbers.txt"
license = "CC0-1.0"

[[step]]
name = "train"
run = ["python3", "train.py", "{data.numbers}", "{out}"]
checkpoints = "checkpoints/*.safetensors"
resume = ["--resume", "{checkpoint}"]
until = ["--until", "{until}"]

[[step]]
name = "halve"
run = ["python3", "halve.py", "{step.train}", "{out}"]

[[variant]]
name = "f32"
default = true
from = "train"
files = ["model.safetensors"]

[[variant]]
name = "half"
from = "halve"
files = ["half.safetensors", "seen.txt"]
"#;

/// How the training of a tree is.
#[derive(Debug, Clone, Copy)]
pub struct Training {
    /// What is added at each step, at most, from no seed.
    pub noise: &'static str,
    /// What stands at the end of the manifest.
    pub more: &'static str,
}

impl Default for Training {
    fn default() -> Self {
        Self { noise: "0", more: "[reproducibility]\nlevel = \"bitwise\"\n" }
    }
}

impl Training {
    /// A tree in the folder `tree`.
    pub fn plant(self, world: &World) {
        let spy = world.path("spy").display().to_string();
        let train = TRAIN.replace("@SPY@", &spy).replace("@NOISE@", self.noise);
        world.write("tree/mpkg.toml", format!("{MANIFEST}\n{}", self.more));
        world.write("tree/train.py", train);
        world.write("tree/halve.py", HALVE);
        world.write("tree/numbers.txt", "1.0\n2.5\n0.25\n-1.5\n3.0\n");
    }

    /// The same, built into `tree/dist` with its checkpoints.
    pub fn build(self, world: &World) {
        self.plant(world);
        world.run(["-q", "build", "tree", "--keep-checkpoints"]).succeeds();
    }
}

/// The binary package.
pub const PACKAGE: &str = "tree/dist/steady-1.0.0.f32.mpkg";
/// The build record.
pub const RECORD: &str = "tree/dist/steady-1.0.0.build.json";

/// The place of a checkpoint, the first of which is 1.
pub fn checkpoint(number: usize) -> String {
    format!("tree/dist/steady-1.0.0.train.checkpoint-{number}.safetensors")
}

/// The build record.
pub fn record(world: &World) -> Value {
    serde_json::from_slice(&std::fs::read(world.path(RECORD)).unwrap()).unwrap()
}
