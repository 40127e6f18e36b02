//! The signs of pickle, found in the bytes as they stream by, whatever the file's name.

mod archives;
mod walk;

use archives::{TarScan, ZipScan};
use walk::Walk;

/// How pickle was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickleForm {
    /// The file itself is a pickle.
    Plain,
    /// A zip archive with a pickle in it, as `torch.save` writes.
    Zip,
    /// A tar archive with a pickle in it, as old versions of it wrote.
    Tar,
    /// A `NumPy` array of objects.
    NumpyObjects,
}

impl std::fmt::Display for PickleForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain => "a pickle",
            Self::Zip => "a zip archive that holds a pickle",
            Self::Tar => "a tar archive that holds a pickle",
            Self::NumpyObjects => "a NumPy array of objects, which are pickled",
        })
    }
}

/// Looks at a file's bytes in order, in pieces of any size.
pub(super) struct Detector {
    walk: Walk,
    zip: ZipScan,
    tar: TarScan,
    start: Vec<u8>,
    found: Option<PickleForm>,
}

/// The bytes of a `NumPy` file that are looked at: its header stands there.
const START: usize = 512;

impl Detector {
    /// For a file of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        Self {
            walk: Walk::new(size),
            zip: ZipScan::default(),
            tar: TarScan::default(),
            start: Vec::new(),
            found: None,
        }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.found.is_some() {
            return;
        }
        if self.walk.feed(bytes) {
            self.found = Some(PickleForm::Plain);
        } else if self.zip.feed(bytes) {
            self.found = Some(PickleForm::Zip);
        } else if self.tar.feed(bytes) {
            self.found = Some(PickleForm::Tar);
        } else if self.start.len() < START {
            let missing = (START - self.start.len()).min(bytes.len());
            self.start.extend_from_slice(&bytes[..missing]);
            if holds_numpy_objects(&self.start) {
                self.found = Some(PickleForm::NumpyObjects);
            }
        }
    }

    /// What was found so far.
    pub(super) const fn found(&self) -> Option<PickleForm> {
        self.found
    }
}

fn holds_numpy_objects(start: &[u8]) -> bool {
    let has = |text: &[u8]| start.windows(text.len()).any(|window| window == text);
    start.starts_with(b"\x93NUMPY") && (has(b"'|O") || has(b"'O"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Option<PickleForm> {
        let forms: Vec<_> = [bytes.len().max(1), 7, 1]
            .into_iter()
            .map(|piece| {
                let mut detector = Detector::new(bytes.len() as u64);
                bytes.chunks(piece).for_each(|piece| detector.feed(piece));
                detector.found()
            })
            .collect();
        assert!(forms.windows(2).all(|pair| pair[0] == pair[1]), "pieces: {forms:?}");
        forms[0]
    }

    #[test]
    fn pickles_of_every_protocol() {
        let pickles: [&[u8]; 8] = [
            // pickle.dumps({"a": [1, 2.5]}, protocol), protocols 0 to 5.
            b"(dp0\nVa\np1\n(lp2\nI1\naF2.5\nas.",
            b"}q\0X\x01\0\0\0aq\x01]q\x02(K\x01G@\x04\0\0\0\0\0\0es.",
            b"\x80\x02}q\0X\x01\0\0\0aq\x01]q\x02(K\x01G@\x04\0\0\0\0\0\0es.",
            b"\x80\x04\x95\x17\0\0\0\0\0\0\0}\x94\x8c\x01a\x94]\x94(K\x01G@\x04\0\0\0\0\0\0es.",
            // The first of a legacy torch file: its magic number.
            b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
            // Runs a program, then breaks off.
            b"cos\nsystem\n(S'id'\ntR",
            b"(ios\nsystem\n",
            b"\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R",
        ];
        for pickle in pickles {
            assert_eq!(found(pickle), Some(PickleForm::Plain), "{pickle:?}");
        }
        let mut long = b"cos\nsystem\n(X\0\0\x02\0".to_vec();
        long.resize(long.len() + (2 << 16), b'x');
        assert_eq!(found(&long), None);
        long.extend(b"tR");
        assert_eq!(found(&long), Some(PickleForm::Plain));
    }

    #[test]
    fn archives_with_pickles_in_them() {
        let mut zip = b"PK\x03\x04".to_vec();
        zip.extend([0; 22]);
        zip.extend([16, 0, 0, 0]);
        zip.extend(b"archive/data.pkl");
        assert_eq!(found(&zip), Some(PickleForm::Zip));
        zip.truncate(zip.len() - 3);
        zip.extend(b"txt");
        assert_eq!(found(&zip), None);
        let mut header = tar::Header::new_ustar();
        header.set_path("weights").unwrap();
        header.set_size(600);
        header.set_cksum();
        let mut archive = header.as_bytes().to_vec();
        archive.extend(b"\x80\x02]q\0.");
        archive.resize(512 + 1024, 0);
        assert_eq!(found(&archive), Some(PickleForm::Tar));
        archive[512] = b'x';
        assert_eq!(found(&archive), None);
        let mut named = tar::Header::new_ustar();
        named.set_path("pickle").unwrap();
        named.set_size(0);
        named.set_cksum();
        archive.extend(named.as_bytes());
        assert_eq!(found(&archive), Some(PickleForm::Tar));
        let numpy = b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
        assert_eq!(found(numpy), Some(PickleForm::NumpyObjects));
    }

    #[test]
    fn what_is_no_pickle() {
        for text in [
            "",
            "(define (f x) x)",
            "{\"a\": 1}",
            "cat\ndog\nfish\n",
            "cat\ndog\nRabbit\n",
            "Very\nVery\nRed\n",
            "I am a text.\nIt goes on.\n",
            "N.",
            "Volume\n.",
            "\x01\x02\x03",
            "# Title\n",
            "import pickle\n",
        ] {
            assert_eq!(found(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(found(&[0x80; 4000]), None);
        assert_eq!(found(&[0; 4000]), None);
    }
}
