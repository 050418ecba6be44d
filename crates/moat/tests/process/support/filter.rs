//! A look at the rule set, and a hold on the server's way to it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{Outcome, run};

/// Whether packets to this address go through a filter of its own: there is a dispatch entry that
/// takes them to a group, and a rule that takes them on to a filter.
pub(crate) fn is_filtered(address: &str) -> bool {
    // Without the table there is nothing to list.
    let table = run("nft", &["list", "table", "inet", "moat"]).unwrap_or_default();
    let group = table
        .split_once(&format!(" {address} : jump "))
        .and_then(|(_, rest)| rest.split([',', ' ', '\n']).next());
    let chain = group.and_then(|group| table.split_once(&format!("chain {group} {{")));
    chain
        .and_then(|(_, rules)| rules.split('}').next())
        .is_some_and(|rules| rules.contains("jump f_m_"))
}

/// Keeps the server's `nft` from doing anything until it is dropped.
pub(crate) struct Gate {
    _lock: File,
}

impl Gate {
    pub(super) fn program(folder: &Path) -> PathBuf {
        folder.join("nft")
    }

    /// Puts the program there that the server runs instead of `nft`.
    pub(super) fn install(folder: &Path) -> Outcome {
        let lock = folder.join("gate");
        fs::write(&lock, "")?;
        let script = format!(
            "#!/bin/sh\nexec flock --no-fork \"{}\" nft \"$@\"\n",
            lock.display()
        );
        fs::write(Self::program(folder), script)?;
        fs::set_permissions(Self::program(folder), Permissions::from_mode(0o755))?;
        Ok(())
    }

    pub(crate) fn shut(folder: &Path) -> Outcome<Self> {
        let lock = File::open(folder.join("gate"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Gate { _lock: lock })
    }
}
