//! Sequence numbers on disk: what hosts know must not begin anew (RFC 8801 §4.2).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pvd::PvdId;
use pvd::router::{Numbered, SequenceNumbers};
use serde::{Deserialize, Serialize};

use crate::provisioning::file;

/// Why the numbers are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// It is there, and cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    /// It is no file of ours.
    #[error("{}: holds no sequence numbers; name another file with `state`, or delete it", file.display())]
    NotOurs { file: PathBuf },
}

/// What is in the file, by the id of the PvD.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    pvds: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sequence_number: u16,
    /// Of the additional information that has this number, hexadecimal.
    sha256: String,
}

/// What was remembered; nothing without a file.
///
/// # Errors
/// [`StateError`]
pub(super) fn load(file: &Path) -> Result<SequenceNumbers, StateError> {
    let not_ours = || StateError::NotOurs {
        file: file.to_owned(),
    };
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(SequenceNumbers::default());
        }
        Err(source) => {
            let file = file.to_owned();
            return Err(StateError::Unreadable { file, source });
        }
    };
    let content: Content = serde_json::from_slice(&text).map_err(|_| not_ours())?;
    let numbers = content.pvds.into_iter().map(|(id, entry)| {
        let digest = openssl::bn::BigNum::from_hex_str(&entry.sha256).ok()?;
        let digest = digest.to_vec_padded(32).ok()?.try_into().ok()?;
        let numbered = Numbered {
            digest,
            sequence_number: entry.sequence_number,
        };
        Some((id.parse::<PvdId>().ok()?, numbered))
    });
    let numbers: Option<Vec<_>> = numbers.collect();
    Ok(SequenceNumbers::remembered(numbers.ok_or_else(not_ours)?))
}

/// Remembers them, whatever happens to this machine afterwards.
///
/// # Errors
/// Those of the system; then what was remembered before still is.
pub(super) fn save(path: &Path, numbers: &SequenceNumbers) -> io::Result<()> {
    let pvds = numbers.iter().map(|(id, numbered)| {
        let digest = numbered.digest.iter().map(|octet| format!("{octet:02x}"));
        let entry = Entry {
            sequence_number: numbered.sequence_number,
            sha256: digest.collect(),
        };
        (id.to_string(), entry)
    });
    let content = Content {
        pvds: pvds.collect(),
    };
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    file::replace(path, &serde_json::to_vec_pretty(&content)?, 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: P-027
    #[test]
    fn numbers_are_the_same_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/advertise.json");
        assert_eq!(load(&file).unwrap(), SequenceNumbers::default());
        let numbers = SequenceNumbers::remembered([(
            "cafe.example.com".parse().unwrap(),
            Numbered {
                digest: [0; 31]
                    .iter()
                    .chain(&[7])
                    .copied()
                    .collect::<Vec<_>>()
                    .try_into()
                    .unwrap(),
                sequence_number: u16::MAX,
            },
        )]);
        save(&file, &numbers).unwrap();
        assert_eq!(load(&file).unwrap(), numbers);
        save(&file, &numbers).unwrap();
        for text in [
            "",
            "{}",
            r#"{"pvds":{"a b":{"sequence_number":1,"sha256":"00"}}}"#,
        ] {
            fs::write(&file, text).unwrap();
            assert!(
                matches!(load(&file), Err(StateError::NotOurs { .. })),
                "{text}"
            );
        }
    }
}
