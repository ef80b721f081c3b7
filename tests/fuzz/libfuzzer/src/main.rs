//! libFuzzer over one target of `../targets.rs`, named by `FUZZ_TARGET`. Writes the smoke test's
//! seeds to `FUZZ_SEEDS` first.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../seeds.rs"]
mod seeds;
#[path = "../../targets.rs"]
mod targets;

fn target() -> fn(&[u8]) {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let found = targets::TARGETS.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("FUZZ_TARGET={name:?} is no target of targets.rs")).1
    })
}

fn write_seeds() {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else { return };
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    for (n, seed) in seeds::of(&name).iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{n:04}")), seed).expect("a folder");
    }
}

fuzz_target!(init: write_seeds(), |data: &[u8]| target()(data));
