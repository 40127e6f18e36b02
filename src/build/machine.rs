//! The machine that a build ran on, for its record.

use std::fs;

use serde::{Deserialize, Serialize};

/// What results can depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Machine {
    /// The kernel's name and release.
    pub kernel: String,
    /// The processor's architecture, as in `x86_64`.
    pub architecture: String,
    /// The processor's model, as it names itself.
    pub cpu: String,
    /// How many processors this process may use.
    pub cpus: usize,
    /// The processor's vector and number features, in the order of their names.
    pub features: Vec<String>,
    /// Bytes of memory.
    pub memory: u64,
    /// Accelerators and their drivers.
    pub gpus: Vec<String>,
}

/// The features of processors that numeric libraries choose their code by.
const TELLING: &[&str] = &[
    "sse3",
    "ssse3",
    "sse4_1",
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "bmi2",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_bf16",
    "amx_int8",
    "amx_tile",
    "asimd",
    "asimdhp",
    "asimddp",
    "sve",
    "sve2",
    "bf16",
    "i8mm",
];

impl Machine {
    /// Looks at the machine that this runs on.
    #[must_use]
    pub fn here() -> Self {
        let system = rustix::system::uname();
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            processors
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.trim() == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
        let mut features: Vec<String> = flags
            .split_whitespace()
            .filter(|flag| TELLING.contains(flag))
            .map(str::to_owned)
            .collect();
        features.sort_unstable();
        features.dedup();
        Self {
            kernel: format!(
                "{} {}",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy()
            ),
            architecture: std::env::consts::ARCH.to_owned(),
            cpu: field("model name").or_else(|| field("CPU part")).unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            features,
            memory: memory(),
            gpus: gpus(),
        }
    }
}

fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes.saturating_mul(1024))
}

/// What the NVIDIA driver says of itself and its devices; other vendors' are not named yet.
fn gpus() -> Vec<String> {
    let driver = fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let driver = driver.lines().next().unwrap_or_default().trim().to_owned();
    let Ok(devices) = fs::read_dir("/proc/driver/nvidia/gpus") else { return Vec::new() };
    let mut found: Vec<String> = devices
        .filter_map(Result::ok)
        .filter_map(|device| fs::read_to_string(device.path().join("information")).ok())
        .filter_map(|text| {
            let model = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
            Some(format!("{} ({driver})", model.trim()))
        })
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_kernel_and_processors() {
        let machine = Machine::here();
        assert!(machine.kernel.starts_with("Linux "), "{}", machine.kernel);
        assert!(machine.cpus >= 1 && machine.memory > 0);
        assert!(machine.features.is_sorted());
    }
}
