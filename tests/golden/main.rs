//! Golden tests: bytes captured from real servers → exact envelopes.

mod annex;
mod binlog;
mod capture;
mod metadata;
mod mysql;
mod options;
mod postgres;

/// This folder, from the package of the pure rooms or from the root.
pub fn folder() -> std::path::PathBuf {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let inside = package.join("tests/golden");
    if inside.exists() { inside } else { package.join("../tests/golden") }
}
