//! The closed lists of words that a manifest's keys take.

use super::{DataLevel, DataRole, Level, RecordKind, Unpack};

/// The words of each closed list of the manifest.
macro_rules! words {
    ($($type:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl $type {
            /// Every value, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that manifests use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The value that `word` stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    )*};
}

words! {
    DataLevel { Raw = "raw", Cleaned = "cleaned", Instances = "instances", Synthetic = "synthetic" }
    DataRole {
        Train = "train", Validation = "validation", Test = "test", Tokenizer = "tokenizer",
        Reference = "reference",
    }
    RecordKind {
        Lines = "lines", Paragraphs = "paragraphs", Jsonl = "jsonl", Csv = "csv", Files = "files",
    }
    Unpack {
        None = "none", Tar = "tar", TarGz = "tar.gz", TarXz = "tar.xz", TarZst = "tar.zst",
        Zip = "zip", Gz = "gz",
    }
    Level { Bitwise = "bitwise", Tensor = "tensor", Behaviour = "behaviour" }
}
