//! A folder to work in, and `moat` run in it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// What a command came to.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON value on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("{error}\nstdout: {}\nstderr: {}", self.stdout, self.stderr)
        })
    }
}

/// Runs `moat` in a folder, with these words and without a daemon unless they name its socket.
pub(crate) fn moat<'a>(folder: &Path, words: impl IntoIterator<Item = &'a str>) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_moat"))
        .args(words)
        .current_dir(folder)
        .env("MOAT_CONTROL", "none.sock")
        .env("MOAT_PVD_CONTROL", "none.sock")
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with the certificates that README makes, also under the names that its examples use.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for line in [
        "pki init --name Test",
        "pki issue --server dots.fixed.example",
        "pki issue --server cpe.site.example",
        "pki issue --client home",
        "pki issue --client site",
        "pki psk home",
    ] {
        let ran = moat(path, line.split(' '));
        assert_eq!(ran.code, Some(0), "{line}: {}", ran.stderr);
    }
    for name in ["fixed-ca.pem", "customers-ca.pem", "site-ca.pem"] {
        std::fs::copy(path.join("ca.pem"), path.join(name)).unwrap();
    }
    folder
}
