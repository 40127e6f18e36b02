//! Hostile weights (cases 30 to 32 of the forty) in binary packages: refused when they are
//! packed and when they are read.

use mpkg::archive::{WriteOptions, collect, from_folder, parse_index, write_package};
use mpkg::progress::Silent;

use crate::support::World;
use crate::support::hostile::{Parts, index};
use crate::support::refusal::refused;

/// Packs one file; the message, or nothing where that succeeds.
fn pack(path: &str, contents: &[u8], pickle_reason: Option<&str>) -> Option<String> {
    let world = World::new();
    world.write(&format!("tree/{path}"), contents);
    let root = world.path("tree");
    let mut listed = parse_index(&index(&[])).unwrap();
    listed.files = collect(&root, &[path.parse().unwrap()]).unwrap();
    listed.pickle_reason = pickle_reason.map(str::to_owned);
    let goal = world.path("out/goal.mpkg");
    let options = WriteOptions::default();
    let packed = write_package(&listed, &from_folder(&root), &goal, &options, &Silent);
    assert_eq!(packed.is_ok(), goal.exists());
    if packed.is_err() {
        let left = std::fs::read_dir(world.path("out")).unwrap().count();
        assert_eq!(left, 0, "a failed packing left something");
    }
    packed.err().map(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
}

#[track_caller]
fn refused_both_ways(path: &str, contents: &[u8], part: &str) {
    let message = pack(path, contents, None).expect("packing it fails");
    assert!(message.contains(part), "{part:?} is not in: {message}");
    refused(&Parts::of(&[(path, contents)]).seal(), &[part]);
}

#[test]
fn case_30_pickle_under_any_name() {
    let plain = b"\x80\x04\x95\x17\0\0\0\0\0\0\0}\x94\x8c\x01a\x94]\x94(K\x01G@\x04\0\0\0\0\0\0es.";
    let legacy = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend([0; 22]);
    zip.extend([16, 0, 0, 0]);
    zip.extend(b"archive/data.pkl");
    for name in ["model.pt", "pytorch_model.bin", "a.pkl", "a.ckpt", "README.md", "config.json"] {
        refused_both_ways(name, plain, "is a pickle: loading it can run any program");
        refused_both_ways(name, legacy, "is a pickle");
        refused_both_ways(name, &zip, "a zip archive that holds a pickle");
        refused_both_ways(name, b"cos\nsystem\n(S'id'\ntR", "is a pickle");
        assert_eq!(pack(name, plain, Some("The loader takes nothing else.")), None);
        assert_eq!(pack(name, b"\x01\x02 weights of another kind", None), None);
    }
    refused_both_ways("model.safetensors", plain, "cannot be taken for weights");
    refused_both_ways("model.gguf", &zip, "cannot be taken for weights");
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

#[test]
fn case_31_safetensors_header_faults() {
    let tensor = |name: &str, shape: &str, from: u64, to: u64| {
        let fields = format!("\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{from},{to}]");
        format!("\"{name}\":{{{fields}}}")
    };
    let one = |name: &str, shape: &str, from, to| format!("{{{}}}", tensor(name, shape, from, to));
    let two = |a: String, b: String| format!("{{{a},{b}}}");
    let (a, b) = (tensor("a", "[1]", 0, 4), tensor("b", "[1]", 4, 8));
    assert_eq!(pack("a.safetensors", &safetensors(&two(a.clone(), b), 8), None), None);
    for (file, part) in [
        (vec![], "cut short"),
        (vec![1, 2, 3], "cut short"),
        (u64::MAX.to_le_bytes().to_vec(), "longer than"),
        (100_u64.to_le_bytes().to_vec(), "claims 100 bytes of a file of 8"),
        (safetensors("[]", 0), "does not begin with {"),
        (safetensors("{\"a\":", 0), "EOF"),
        (safetensors(&one("a", "[1]", 0, 4), 5), "bytes and its data has"),
        (safetensors(&one("a", "[1]", 0, 4), 3), "bytes and its data has"),
        (safetensors(&one("a", "[1]", 4, 8), 8), "where the bytes from 0 on are next"),
        (safetensors(&two(a.clone(), tensor("b", "[1]", 2, 6)), 6), "are next"),
        (safetensors(&two(a.clone(), tensor("b", "[1]", 5, 9)), 9), "are next"),
        (safetensors(&two(a.clone(), a.clone()), 4), "stands there twice"),
        (safetensors(&one("a..b", "[1]", 0, 4), 4), "is not a name for a tensor"),
        (safetensors(&one("a\\u0007", "[1]", 0, 4), 4), "is not a name for a tensor"),
        (safetensors(&one("a", "[4294967296,4294967296]", 0, 0), 0), "type and shape"),
        (safetensors(&one("a", "[2]", 0, 4), 4), "type and shape"),
        (safetensors(&one("a", "[-1]", 0, 4), 4), "invalid value"),
        (safetensors(&one("a", &format!("[{}1]", "1,".repeat(40)), 0, 4), 4), "32 dimensions"),
        (safetensors("{\"__metadata__\":{\"a\":{}}}", 0), "invalid type"),
        (safetensors(&"[".repeat(100_000), 0), "does not begin with {"),
        (safetensors(&"{\"a\":".repeat(100_000), 0), "wrong"),
    ] {
        refused_both_ways("a.safetensors", &file, part);
    }
}

fn gguf(version: u32, tensors: u64, pairs: u64, rest: &[u8]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(version.to_le_bytes());
    file.extend(tensors.to_le_bytes());
    file.extend(pairs.to_le_bytes());
    file.extend(rest);
    file
}

/// A key and the type of its value.
fn key(name: &str, kind: u32) -> Vec<u8> {
    let mut bytes = (name.len() as u64).to_le_bytes().to_vec();
    bytes.extend(name.as_bytes());
    bytes.extend(kind.to_le_bytes());
    bytes
}

fn gguf_tensor(name: &str, shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = key(name, u32::try_from(shape.len()).unwrap());
    bytes.extend(shape.iter().flat_map(|extent| extent.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

#[test]
fn case_32_gguf_header_faults() {
    let with_data = |tensors: &[Vec<u8>], data: usize| {
        let mut file = gguf(3, tensors.len() as u64, 0, &tensors.concat());
        file.resize(file.len().next_multiple_of(32) + data, 0);
        file
    };
    let array = |kind: u32, count: u64| {
        [key("a", 9), kind.to_le_bytes().to_vec(), count.to_le_bytes().to_vec()].concat()
    };
    let nested =
        [key("a", 9), [9_u32.to_le_bytes().as_slice(), &1_u64.to_le_bytes()].concat().repeat(50)];
    let sound = with_data(&[gguf_tensor("a", &[3], 0, 0), gguf_tensor("b", &[2], 0, 32)], 40);
    assert_eq!(pack("a.gguf", &sound, None), None);
    let tensor = |shape: &[u64], kind, offset, data| {
        with_data(&[gguf_tensor("a", shape, kind, offset)], data)
    };
    for (file, part) in [
        (vec![], "asked for in a file of 0"),
        (b"GGUX\x03\0\0\0".to_vec(), "does not begin with GGUF"),
        (gguf(1, 0, 0, &[]), "its version is 1"),
        (gguf(3 << 24, 0, 0, &[]), "little-endian"),
        (gguf(3, u64::MAX, 0, &[]), "entries do not fit"),
        (gguf(3, 0, 1 << 60, &[0; 25]), "entries do not fit"),
        (gguf(3, 0, 1, &[0xff; 25]), "bytes long"),
        (gguf(3, 0, 1, &array(8, 1 << 61)), "entries do not fit"),
        (gguf(3, 0, 1, &array(9, 1 << 61)), "entries do not fit"),
        (gguf(3, 0, 1, &array(0, 1 << 61)), "entries do not fit"),
        (gguf(3, 0, 1, &array(13, 1)), "unknown type 13"),
        (gguf(3, 0, 1, &nested.concat()), "too deep"),
        (gguf(3, 0, 1, &[key("a", 7), vec![2]].concat()), "neither 0 nor 1"),
        (gguf(3, 0, 1, &[key("a\u{1b}b", 7), vec![1]].concat()), "is not a name"),
        (gguf(3, 0, 2, &[key("a", 7), vec![1], key("a", 7), vec![1]].concat()), "twice"),
        (gguf(3, 0, 1, &[key("general.alignment", 4), vec![3, 0, 0, 0]].concat()), "its alignment"),
        (tensor(&[1; 5], 0, 0, 4), "has 5 dimensions"),
        (tensor(&[1], 99, 0, 4), "unknown type 99"),
        (tensor(&[33], 8, 0, 68), "not in whole blocks"),
        (tensor(&[1 << 33, 1 << 33], 0, 0, 4), "larger than the file"),
        (tensor(&[2], 0, 0, 4), "its tensors take 8 bytes and its data has 4"),
        (tensor(&[1], 0, 0, 64), "its data has 64"),
        (tensor(&[1], 0, 32, 36), "where 0 is next"),
        (with_data(&[gguf_tensor("a", &[1], 0, 0), gguf_tensor("a", &[1], 0, 32)], 36), "twice"),
    ] {
        refused_both_ways("a.gguf", &file, part);
    }
}
