//! The folder in which signed objects are kept over a restart.
//!
//! One file for each PvD and each provenance. It needs no trust: what is in it is verified again. Who may write there can have a genuine object
//! forgotten, or an older genuine one remembered, which is why it should be nobody else's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jose::{Forged, MAX_SIGNED_BYTES};
use openssl::sha::sha256;
use pvd::PvdId;
use pvd::host::Provenance;
use pvd::information::Refused as Unfit;

use super::{Judge, Judged, Refused, judged};
use crate::provisioning::file;

/// Most files of one provenance; the oldest goes.
const MAX_FILES: usize = 64;
/// Names that are read of the folder.
const MAX_NAMES: usize = 4096;
/// How the names of ours end.
const ENDS: [(Provenance, &str); 2] = [
    (Provenance::Given, ".given.jws"),
    (Provenance::Fetched, ".fetched.jws"),
];

/// The folder.
pub(crate) struct Cache(PathBuf);

impl Cache {
    /// Makes the folder, if it is not there.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// What is kept and may still be proved, the oldest first. What has expired is deleted.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn load(&self, judge: &Judge, now: SystemTime) -> io::Result<Vec<Judged>> {
        let mut objects = Vec::new();
        for (provenance, end) in ENDS {
            for path in self.files(end)? {
                let read = file::read_of_stranger(&path, MAX_SIGNED_BYTES);
                let read = read.map_err(Refused::Unreadable);
                match read.and_then(|content| judged(content, provenance, judge, now)) {
                    Ok(object) => objects.push(object),
                    Err(Refused::Forged(Forged::Payload(Unfit::Expired))) => {
                        fs::remove_file(path)?;
                    }
                    Err(error) => {
                        tracing::warn!(file = ?path, %error, "is not used");
                    }
                }
            }
        }
        Ok(objects)
    }

    /// Keeps an object in the place of the one before.
    ///
    /// # Errors
    /// Those of the system; then the one before is still there.
    pub(crate) fn keep(
        &self,
        pvd: &PvdId,
        provenance: Provenance,
        compact: &str,
    ) -> io::Result<()> {
        let digest = sha256(pvd.as_str().as_bytes());
        // A PvD ID with an ending may be longer than the name of a file.
        let name: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        let ends = ENDS.into_iter().find(|(of, _)| *of == provenance);
        let end = ends.map_or("", |(_, end)| end);
        let path = self.0.join(name + end);
        if file::read_of_stranger(&path, MAX_SIGNED_BYTES).is_ok_and(|it| it == compact.as_bytes())
        {
            return Ok(());
        }
        file::replace(&path, compact.as_bytes(), 0o644)?;
        let files = self.files(end)?;
        let surplus = files.len().saturating_sub(MAX_FILES);
        files.iter().take(surplus).try_for_each(fs::remove_file)
    }

    /// Those of one provenance, the oldest first.
    fn files(&self, end: &str) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)?.take(MAX_NAMES) {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(end) {
                files.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }
}
