//! A folder that anybody may fill, such as one on a stick: looked at every few seconds, as far as its limits go.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use jose::MAX_SIGNED_BYTES;
use pvd::host::Provenance;
use tokio::sync::mpsc;

use super::{Judge, Judged, Refused, judged};
use crate::provisioning::file::{self, Stamp};

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// Names that are read of a folder.
const MAX_NAMES: usize = 4096;
/// Files of a folder that count, the first ones by name.
const MAX_FILES: usize = 64;
/// Files that are read at one look; others wait for the next one.
const MAX_READ: usize = 16;
/// Files whose objects may wait for the daemon.
const MAX_WAITING: usize = 4;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Brought {
    /// Which one.
    pub(crate) file: PathBuf,
    /// Its object, if it proves itself.
    pub(crate) object: Result<Judged, Refused>,
}

/// Reads what is in the folders, and what comes there, in a thread of its own: a stick may be slow, or gone.
///
/// # Errors
/// Those of the system.
pub(crate) fn watch(folders: Vec<PathBuf>, judge: Judge) -> io::Result<mpsc::Receiver<Brought>> {
    let (found, brought) = mpsc::channel(MAX_WAITING);
    let mut folders: Vec<_> = folders.into_iter().map(Folder::new).collect();
    if folders.is_empty() {
        return Ok(brought);
    }
    thread::Builder::new()
        .name("signed objects".to_owned())
        .spawn(move || {
            while !found.is_closed() {
                let files = folders.iter_mut().flat_map(Folder::look);
                for (file, content) in files {
                    let object = content.map_err(Refused::Unreadable).and_then(|content| {
                        judged(content, Provenance::Given, &judge, SystemTime::now())
                    });
                    if found.blocking_send(Brought { file, object }).is_err() {
                        return;
                    }
                }
                thread::sleep(INTERVAL);
            }
        })?;
    Ok(brought)
}

/// One folder, with the files as they were when they were read.
struct Folder {
    path: PathBuf,
    read: BTreeMap<OsString, Stamp>,
    /// What was wrong with it, which is said once.
    complaint: Option<String>,
}

impl Folder {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: BTreeMap::new(),
            complaint: None,
        }
    }

    /// What is new in it.
    fn look(&mut self) -> Vec<(PathBuf, io::Result<Vec<u8>>)> {
        let (names, complaint) = match names(&self.path) {
            Ok((names, false)) => (names, None),
            Ok((names, true)) => {
                let more = format!("more than {MAX_FILES} files; the first ones by name count");
                (names, Some(more))
            }
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        if complaint != self.complaint {
            if let Some(complaint) = &complaint {
                tracing::warn!(folder = %self.path.display(), "{complaint}");
            }
            self.complaint = complaint;
        }
        self.read.retain(|name, _| names.contains(name));
        let mut found = Vec::new();
        for name in names {
            let file = self.path.join(&name);
            let Ok(stamp) = fs::symlink_metadata(&file).map(|it| Stamp::from(&it)) else {
                continue;
            };
            if self.read.get(&name) == Some(&stamp) {
                continue;
            }
            if found.len() == MAX_READ {
                break;
            }
            let content = file::read_of_stranger(&file, MAX_SIGNED_BYTES);
            // One that is being written is read again when it is done.
            self.read.insert(name, stamp);
            found.push((file, content));
        }
        found
    }
}

/// The names of files that count, in order, and whether there are more. Hidden ones are those of programs, which write before they rename.
fn names(folder: &Path) -> io::Result<(Vec<OsString>, bool)> {
    let entries = fs::read_dir(folder)?.take(MAX_NAMES);
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    let has_more = names.len() > MAX_FILES;
    names.truncate(MAX_FILES);
    Ok((names, has_more))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn texts(folder: &mut Folder) -> Vec<String> {
        let found = folder.look().into_iter();
        let texts = found.map(|(file, content)| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            match content {
                Ok(content) => format!("{name}: {}", String::from_utf8_lossy(&content)),
                Err(error) => format!("{name}: {:?}", error.kind()),
            }
        });
        texts.collect()
    }

    /// Covers: P-039, P-047
    #[test]
    fn what_is_new_is_read_once_and_what_is_no_file_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let mut folder = Folder::new(place.path().join("in"));
        assert_eq!(texts(&mut folder), [""; 0]);
        fs::create_dir(path("in")).unwrap();
        fs::write(path("in/a.jws"), "one").unwrap();
        fs::write(path("in/.b.jws"), "hidden").unwrap();
        fs::write(path("in/huge"), vec![b'x'; MAX_SIGNED_BYTES + 1]).unwrap();
        fs::create_dir(path("in/folder")).unwrap();
        fs::write(path("secret"), "secret").unwrap();
        symlink(path("secret"), path("in/link")).unwrap();
        symlink(path("in/loop"), path("in/loop")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("in/pipe"), 0o600.into()).unwrap();
        let expected = [
            "a.jws: one",
            "folder: InvalidInput",
            "huge: FileTooLarge",
            "link: InvalidInput",
            "loop: InvalidInput",
            "pipe: InvalidInput",
        ];
        assert_eq!(texts(&mut folder), expected);
        assert_eq!(texts(&mut folder), [""; 0]);
        fs::write(path("in/a.jws"), "another").unwrap();
        assert_eq!(texts(&mut folder), ["a.jws: another"]);
        fs::rename(path("in"), path("out")).unwrap();
        assert_eq!(texts(&mut folder), [""; 0]);
        fs::rename(path("out"), path("in")).unwrap();
        assert_eq!(texts(&mut folder).len(), expected.len());
    }

    /// Covers: P-047
    #[test]
    fn a_full_folder_is_read_little_by_little_and_not_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        for number in 0..2 * MAX_FILES {
            fs::write(place.path().join(format!("{number:04}")), "x").unwrap();
        }
        let mut folder = Folder::new(place.path().to_owned());
        let looks = [(); 6].map(|()| texts(&mut folder).len());
        assert_eq!(looks, [MAX_READ, MAX_READ, MAX_READ, MAX_READ, 0, 0]);
        assert!(folder.complaint.is_some());
    }
}
