//! The files with additional information: hosts are told of what is valid, under its number (RFC 8801 §4.2).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ipnet::Ipv6Net;
use openssl::sha::sha256;
use pvd::PvdId;
use pvd::bindings::router_advertisement::NdOption;
use pvd::information::{AdditionalInformation, MAX_OBJECT_BYTES, Refused};
use pvd::router::{Digest, SequenceNumbers};

use super::{Error, state};
use crate::config::AdvertiseConfig;
use crate::provisioning::file;

/// So often in a row an object must be wrong before hosts are told that there is none: who writes a file leaves half of one for a
/// moment.
const LOOKS_BEFORE_NONE: u32 = 2;

/// The file of a PvD, and what it must cover.
#[derive(Debug)]
pub(super) struct ObjectFile {
    file: PathBuf,
    prefixes: Vec<Ipv6Net>,
}

/// The files that the configuration names.
///
/// # Errors
/// [`Error::TwoObjects`]
pub(super) fn files(config: &AdvertiseConfig) -> Result<BTreeMap<PvdId, ObjectFile>, Error> {
    let mut files = BTreeMap::<PvdId, ObjectFile>::new();
    let domains = config.interfaces.values().flat_map(|it| &it.domains);
    for domain in domains.clone() {
        if let (Some(pvd), Some((file, _))) = (&domain.advertisement.pvd, &domain.object) {
            let new = ObjectFile {
                file: file.clone(),
                prefixes: Vec::new(),
            };
            if files.entry(pvd.id.clone()).or_insert(new).file != *file {
                return Err(Error::TwoObjects(pvd.id.clone()));
            }
        }
    }
    for domain in domains {
        let advertisement = &domain.advertisement;
        let id = advertisement.pvd.as_ref().map(|pvd| &pvd.id);
        let Some(object) = id.and_then(|id| files.get_mut(id)) else {
            continue;
        };
        object
            .prefixes
            .extend(advertisement.options().filter_map(|option| match option {
                NdOption::PrefixInformation(prefix) => Some(prefix.prefix),
                _ => None,
            }));
    }
    Ok(files)
}

/// Why hosts could not use an object.
#[derive(Debug, thiserror::Error)]
enum Useless {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("it is about {0}")]
    OfAnother(PvdId),
    #[error("none of its prefixes has {0} in it, which is advertised")]
    NotCovered(Ipv6Net),
}

/// What became of an object.
#[derive(Debug, Default)]
struct Looked {
    /// What hosts are told.
    number: Option<u16>,
    /// How often in a row it was useless, and why.
    useless: u32,
    complaint: String,
}

/// All objects.
#[derive(Debug)]
pub(super) struct Objects {
    files: BTreeMap<PvdId, ObjectFile>,
    looked: BTreeMap<PvdId, Looked>,
    numbers: SequenceNumbers,
    state: PathBuf,
    /// What is in `numbers` is not on disk yet.
    is_unsaved: bool,
    random: fastrand::Rng,
}

impl Objects {
    pub(super) fn new(
        files: BTreeMap<PvdId, ObjectFile>,
        numbers: SequenceNumbers,
        state: PathBuf,
    ) -> Self {
        Self {
            files,
            looked: BTreeMap::new(),
            numbers,
            state,
            is_unsaved: false,
            random: fastrand::Rng::new(),
        }
    }

    /// Looks at all of them: the number of each that hosts may ask for. A number that could not be stored is not told.
    pub(super) fn look(&mut self, now: SystemTime) -> BTreeMap<PvdId, u16> {
        let mut found = BTreeMap::new();
        for (id, object) in &self.files {
            let looked = self.looked.entry(id.clone()).or_default();
            match examine(id, object, now) {
                Ok(digest) => {
                    let (number, is_new) = self.numbers.number(id, digest, &mut self.random);
                    self.is_unsaved |= is_new;
                    if !looked.complaint.is_empty() {
                        tracing::info!(pvd = %id, "its additional information can be used now");
                    }
                    (looked.useless, looked.complaint) = (0, String::new());
                    found.insert(id.clone(), number);
                }
                Err(useless) => {
                    looked.useless = looked.useless.saturating_add(1);
                    if looked.useless >= LOOKS_BEFORE_NONE {
                        looked.number = None;
                        looked.complain(id, &object.file, &useless.to_string());
                    }
                }
            }
        }
        match self.save() {
            Ok(()) => {
                for (id, number) in found {
                    let looked = self.looked.entry(id.clone()).or_default();
                    if looked.number.replace(number) != Some(number) {
                        tracing::info!(pvd = %id, number, "hosts are told of its additional information");
                    }
                }
            }
            Err(error) => {
                let file = self.state.display();
                tracing::error!(
                    "{file}: cannot be written, so hosts are not told of new information: {error}"
                );
            }
        }
        let looked = self.looked.iter();
        let numbers = looked.filter_map(|(id, looked)| Some((id.clone(), looked.number?)));
        numbers.collect()
    }

    fn save(&mut self) -> io::Result<()> {
        if self.is_unsaved {
            state::save(&self.state, &self.numbers)?;
            self.is_unsaved = false;
        }
        Ok(())
    }
}

impl Looked {
    /// Says it, unless it was said.
    fn complain(&mut self, id: &PvdId, file: &Path, complaint: &str) {
        if self.complaint != complaint {
            complaint.clone_into(&mut self.complaint);
            let file = file.display();
            tracing::warn!(pvd = %id, "hosts are told that there is no additional information, for {file} is of no use: {complaint}");
        }
    }
}

/// Whether hosts can use an object (RFC 8801 §4.1).
fn examine(id: &PvdId, object: &ObjectFile, now: SystemTime) -> Result<Digest, Useless> {
    let octets = file::read(&object.file, MAX_OBJECT_BYTES)?;
    let information = AdditionalInformation::read(&octets, now)?.information;
    if information.identifier != *id {
        return Err(Useless::OfAnother(information.identifier));
    }
    let mut prefixes = object.prefixes.iter();
    match prefixes.find(|prefix| !information.covers(prefix)) {
        Some(prefix) => Err(Useless::NotCovered(*prefix)),
        None => Ok(sha256(&octets)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// Covers: P-021, P-027
    #[test]
    fn hosts_are_told_of_what_they_can_use_under_a_number_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cafe.json");
        let id: PvdId = "cafe.example.com".parse().unwrap();
        let mut objects = Objects::new(
            BTreeMap::from([(
                id.clone(),
                ObjectFile {
                    file: file.clone(),
                    prefixes: vec!["2001:db8:cafe::/64".parse().unwrap()],
                },
            )]),
            SequenceNumbers::default(),
            folder.path().join("state"),
        );
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let write = |name: &str, prefix: &str, more: &str| {
            let text = format!(
                r#"{{"identifier":"{name}","expires":"2030-01-01T00:00:00Z","prefixes":["{prefix}"]{more}}}"#
            );
            fs::write(&file, text).unwrap();
        };
        let mut look = || objects.look(now).get(&id).copied();
        assert_eq!(look(), None);
        write("cafe.example.com.", "2001:db8::/32", "");
        let first = look().unwrap();
        assert_eq!(look(), Some(first));
        write(
            "cafe.example.com.",
            "2001:db8::/32",
            r#","noInternet":true"#,
        );
        let second = first.wrapping_add(1);
        assert_eq!(look(), Some(second));
        // Half of a file, once; then what is of no use to hosts.
        for text in ["{", r#"{"identifier":"cafe.example.com"}"#] {
            fs::write(&file, text).unwrap();
            assert_eq!([look(), look()], [Some(second), None], "{text}");
            write(
                "cafe.example.com.",
                "2001:db8::/32",
                r#","noInternet":true"#,
            );
            assert_eq!(look(), Some(second));
        }
        write("other.example.com.", "2001:db8::/32", "");
        assert_eq!([look(), look()], [Some(second), None]);
        write("cafe.example.com.", "2001:db8:f00d::/64", "");
        assert_eq!([look(), look()], [None, None]);
        // A number that is not on disk is not told.
        fs::remove_file(folder.path().join("state")).unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        write(
            "cafe.example.com.",
            "2001:db8::/32",
            r#","noInternet":false"#,
        );
        assert_eq!(look(), None);
        fs::remove_dir(folder.path().join("state")).unwrap();
        assert_eq!(look(), Some(second.wrapping_add(1)));
    }
}
