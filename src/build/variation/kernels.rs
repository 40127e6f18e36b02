//! Which code numeric libraries run: they have several kinds of each kernel, and choose by the
//! processor. A variable for each library makes it choose another that the processor has as well.

use super::{Ground, Kind, Variation, pinned};

/// A generation of processors.
struct Generation {
    /// Its name in OpenBLAS.
    name: &'static str,
    /// What a processor must have, in Linux' words.
    needs: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
}

/// What numpy's own kernels must not use on processors without AVX-512, by the names of all its
/// releases; names that a release does not know it ignores with a warning.
const NUMPY_WITHOUT_AVX512: &str =
    "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4";
const NUMPY_WITHOUT_AVX: &str = "AVX F16C FMA3 AVX2 X86_V3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4";

/// The same for the C library's functions.
const LIBC_WITHOUT_AVX512: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ";
const LIBC_WITHOUT_AVX: &str =
    "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL,-AVX512BW,-AVX512DQ";

const GENERATIONS: [Generation; 4] = [
    Generation {
        name: "Prescott",
        needs: &[],
        variables: &[
            ("NPY_DISABLE_CPU_FEATURES", NUMPY_WITHOUT_AVX),
            ("GLIBC_TUNABLES", LIBC_WITHOUT_AVX),
            ("ATEN_CPU_CAPABILITY", "default"),
            ("ONEDNN_MAX_CPU_ISA", "SSE41"),
            ("MKL_ENABLE_INSTRUCTIONS", "SSE4_2"),
        ],
    },
    Generation {
        name: "Nehalem",
        needs: &["sse4_2"],
        variables: &[
            ("NPY_DISABLE_CPU_FEATURES", NUMPY_WITHOUT_AVX),
            ("GLIBC_TUNABLES", LIBC_WITHOUT_AVX),
            ("ATEN_CPU_CAPABILITY", "default"),
            ("ONEDNN_MAX_CPU_ISA", "SSE41"),
            ("MKL_ENABLE_INSTRUCTIONS", "SSE4_2"),
        ],
    },
    Generation {
        name: "Haswell",
        needs: &["avx2", "fma"],
        variables: &[
            ("NPY_DISABLE_CPU_FEATURES", NUMPY_WITHOUT_AVX512),
            ("GLIBC_TUNABLES", LIBC_WITHOUT_AVX512),
            ("ATEN_CPU_CAPABILITY", "avx2"),
            ("ONEDNN_MAX_CPU_ISA", "AVX2"),
            ("MKL_ENABLE_INSTRUCTIONS", "AVX2"),
        ],
    },
    Generation {
        name: "SkylakeX",
        needs: &["avx512f", "avx512bw", "avx512dq", "avx512vl"],
        variables: &[
            ("ATEN_CPU_CAPABILITY", "avx512"),
            ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE"),
            ("MKL_ENABLE_INSTRUCTIONS", "AVX512"),
        ],
    },
];

/// What chooses OpenBLAS's kernels.
const OPENBLAS: &str = "OPENBLAS_CORETYPE";
/// What keeps numpy's own from being chosen.
const NUMPY: &str = "NPY_DISABLE_CPU_FEATURES";
/// What the processor chooses by itself.
const OWN: &str = "the processor's own";

/// Each generation that this processor has, but the one that the manifest pins; and where it pins
/// one, what the processor would choose.
pub(super) fn of(ground: Ground<'_>) -> Result<Vec<Variation>, String> {
    let machine = ground.machine;
    if machine.architecture != "x86_64" {
        return Err(format!("no kernels are known by name for {}", machine.architecture));
    }
    let usual = pinned(ground.manifest, OPENBLAS);
    let has = |feature: &&str| machine.features.iter().any(|it| it == feature);
    let mut variations = Vec::new();
    for generation in &GENERATIONS {
        let is_usual = usual.is_some_and(|it| it.eq_ignore_ascii_case(generation.name));
        if is_usual || !generation.needs.iter().all(has) {
            continue;
        }
        let mut variation = Variation::new(Kind::Kernels, usual.unwrap_or(OWN), generation.name);
        variation.variables.push((NUMPY, None));
        variation = variation.setting(OPENBLAS, generation.name);
        for (name, value) in generation.variables {
            variation = variation.setting(name, *value);
        }
        variations.push(variation);
    }
    if let Some(usual) = usual {
        let mut variation = Variation::new(Kind::Kernels, usual, OWN);
        variation.variables.extend([(OPENBLAS, None), (NUMPY, None)]);
        variations.push(variation);
    }
    Ok(variations)
}
