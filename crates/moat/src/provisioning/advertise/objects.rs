//! The files with additional information: hosts are told of what is valid, under its number (RFC 8801 §4.2).
//!
//! They ask as soon as they are told, and once for each number. So what is new is told when it has rested for a while: then its server
//! has read it, too.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use ipnet::Ipv6Net;
use jose::MAX_SIGNED_BYTES;
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

/// How long new content rests before it is told: twice as long as `moat pvd serve` takes to notice it.
const REST: Duration = Duration::from_secs(4);

/// The file of a PvD, and what it must cover.
#[derive(Debug)]
pub(super) struct ObjectFile {
    file: PathBuf,
    signed: Option<PathBuf>,
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
        if let (Some(pvd), Some(object)) = (&domain.advertisement.pvd, &domain.object) {
            let new = ObjectFile {
                file: object.file.clone(),
                signed: object.signed.clone(),
                prefixes: Vec::new(),
            };
            let known = files.entry(pvd.id.clone()).or_insert(new);
            if (&known.file, &known.signed) != (&object.file, &object.signed) {
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

/// Whether hosts could use all objects now.
///
/// # Errors
/// [`Error::TwoObjects`], [`Error::Useless`]
pub(super) fn check(config: &AdvertiseConfig, now: SystemTime) -> Result<(), Error> {
    for (pvd, object) in files(config)? {
        examine(&pvd, &object, now).map_err(|useless| Error::Useless {
            file: object.file.clone(),
            why: useless.to_string(),
            pvd,
        })?;
    }
    Ok(())
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
    #[error("its signed form cannot be read: {0}")]
    NotSigned(io::Error),
    #[error("its signed form is not of this object; sign it anew")]
    SignedOther,
}

impl Useless {
    /// Whether hosts get on with the object before: its server serves that on.
    fn is_of_signed_form(&self) -> bool {
        matches!(self, Self::NotSigned(_) | Self::SignedOther)
    }
}

/// What became of an object.
#[derive(Debug, Default)]
struct Looked {
    /// What hosts are told.
    number: Option<u16>,
    /// What was in the file the last time, and since when.
    rests: Option<(Digest, Instant)>,
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

    /// Looks at all of them: the number of each that hosts may ask for. A number that could not be stored is not told. What is there at the
    /// first look counts as old: whoever starts both programs has written it before.
    pub(super) fn look(&mut self, now: SystemTime, instant: Instant) -> BTreeMap<PvdId, u16> {
        let mut found = BTreeMap::new();
        let is_first = self.looked.is_empty();
        for (id, object) in &self.files {
            let looked = self.looked.entry(id.clone()).or_default();
            match examine(id, object, now) {
                Ok(digest) => {
                    let rests = looked.rests.filter(|(before, _)| *before == digest);
                    let (_, since) = *looked.rests.insert(rests.unwrap_or((digest, instant)));
                    let is_known = is_first || self.numbers.is_known(id, &digest);
                    if !is_known && instant.saturating_duration_since(since) < REST {
                        continue;
                    }
                    let (number, is_new) = self.numbers.number(id, digest, &mut self.random);
                    self.is_unsaved |= is_new;
                    if !looked.complaint.is_empty() {
                        tracing::info!(pvd = %id, "its additional information can be used now");
                    }
                    (looked.useless, looked.complaint) = (0, String::new());
                    found.insert(id.clone(), number);
                }
                Err(useless) if useless.is_of_signed_form() => {
                    let meanwhile = "hosts are told nothing new";
                    looked.complain(id, &object.file, meanwhile, &useless.to_string());
                }
                Err(useless) => {
                    looked.useless = looked.useless.saturating_add(1);
                    if looked.useless >= LOOKS_BEFORE_NONE {
                        looked.number = None;
                        let meanwhile = "hosts are told that there is no additional information";
                        looked.complain(id, &object.file, meanwhile, &useless.to_string());
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
    fn complain(&mut self, id: &PvdId, file: &Path, meanwhile: &str, complaint: &str) {
        if self.complaint != complaint {
            complaint.clone_into(&mut self.complaint);
            let file = file.display();
            tracing::warn!(pvd = %id, "{meanwhile}, for {file} is of no use: {complaint}");
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
    if let Some(prefix) = prefixes.find(|prefix| !information.covers(prefix)) {
        return Err(Useless::NotCovered(*prefix));
    }
    if let Some(signed) = &object.signed {
        let compact = file::read(signed, MAX_SIGNED_BYTES).map_err(Useless::NotSigned)?;
        if in_signed_form(&compact, now).as_ref() != Some(&information) {
            return Err(Useless::SignedOther);
        }
    }
    Ok(sha256(&octets))
}

/// What is in a compact JWS; who signed it, hosts judge.
fn in_signed_form(compact: &[u8], now: SystemTime) -> Option<AdditionalInformation> {
    let compact = std::str::from_utf8(compact.trim_ascii()).ok()?;
    let payload = jose::payload_unverified(compact).ok()?;
    let read = AdditionalInformation::read(&payload, now).ok()?;
    Some(read.information)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const ID: &str = "cafe.example.com";

    /// A folder with the files of one PvD, looked at every five seconds.
    struct Rig {
        folder: tempfile::TempDir,
        objects: Objects,
        looks: u32,
        begun: Instant,
    }

    impl Rig {
        fn new(is_signed: bool) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let object = ObjectFile {
                file: folder.path().join("cafe.json"),
                signed: is_signed.then(|| folder.path().join("cafe.jws")),
                prefixes: vec!["2001:db8:cafe::/64".parse().unwrap()],
            };
            let files = BTreeMap::from([(ID.parse().unwrap(), object)]);
            let state = folder.path().join("state");
            Self {
                objects: Objects::new(files, SequenceNumbers::default(), state),
                folder,
                looks: 0,
                begun: Instant::now(),
            }
        }

        fn write(&self, file: &str, text: &str) {
            fs::write(self.folder.path().join(file), text).unwrap();
        }

        fn look(&mut self) -> Option<u16> {
            self.looks += 1;
            let passed = Duration::from_secs(5) * self.looks;
            let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000) + passed;
            let told = self.objects.look(now, self.begun + passed);
            told.get(&ID.parse().unwrap()).copied()
        }
    }

    fn object(name: &str, prefix: &str, more: &str) -> String {
        format!(
            r#"{{"identifier":"{name}","expires":"2030-01-01T00:00:00Z","prefixes":["{prefix}"]{more}}}"#
        )
    }

    /// Covers: P-021, P-027
    #[test]
    fn hosts_are_told_of_what_they_can_use_under_a_number_of_its_own() {
        let mut rig = Rig::new(false);
        assert_eq!(rig.look(), None);
        rig.write(
            "cafe.json",
            &object("cafe.example.com.", "2001:db8::/32", ""),
        );
        assert_eq!(rig.look(), None);
        let first = rig.look().unwrap();
        assert_eq!(rig.look(), Some(first));
        let good = object("cafe.example.com", "2001:db8::/32", r#","noInternet":true"#);
        rig.write("cafe.json", &good);
        // The server may not have read it yet.
        assert_eq!(rig.look(), Some(first));
        let second = first.wrapping_add(1);
        assert_eq!(rig.look(), Some(second));
        // Half of a file, once; then what is of no use to hosts.
        for text in ["{", r#"{"identifier":"cafe.example.com"}"#] {
            rig.write("cafe.json", text);
            assert_eq!([rig.look(), rig.look()], [Some(second), None], "{text}");
            rig.write("cafe.json", &good);
            assert_eq!(rig.look(), Some(second));
        }
        let other = object("other.example.com", "2001:db8::/32", "");
        rig.write("cafe.json", &other);
        assert_eq!([rig.look(), rig.look()], [Some(second), None]);
        let elsewhere = object(ID, "2001:db8:f00d::/64", "");
        rig.write("cafe.json", &elsewhere);
        assert_eq!([rig.look(), rig.look()], [None, None]);
        // A number that is not on disk is not told.
        let state = rig.folder.path().join("state");
        fs::remove_file(&state).unwrap();
        fs::create_dir(&state).unwrap();
        rig.write("cafe.json", &object(ID, "2001:db8::/32", ""));
        assert_eq!([rig.look(), rig.look()], [None, None]);
        fs::remove_dir(&state).unwrap();
        assert_eq!(rig.look(), Some(second.wrapping_add(1)));
    }

    /// Covers: P-027
    #[test]
    fn what_changes_at_every_look_is_told_when_it_rests() {
        let mut rig = Rig::new(false);
        rig.write("cafe.json", &object(ID, "2001:db8::/32", ""));
        let first = rig.look().unwrap();
        for zone in 0..5 {
            let more = format!(r#","dnsZones":["z{zone}.example"]"#);
            rig.write("cafe.json", &object(ID, "2001:db8::/32", &more));
            assert_eq!(rig.look(), Some(first));
        }
        assert_eq!(rig.look(), Some(first.wrapping_add(1)));
    }

    /// Covers: P-027
    #[test]
    fn an_object_is_told_when_its_signed_form_is_there_too() {
        use base64::Engine as _;
        let encode = |text: &str| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text);
        // Who signed it is for hosts to judge.
        let sign = |text: &str| format!("{}.{}.{}\n", encode("{}"), encode(text), encode("it"));
        let mut rig = Rig::new(true);
        let old = object(ID, "2001:db8::/32", "");
        rig.write("cafe.json", &old);
        assert_eq!(rig.look(), None);
        rig.write("cafe.jws", &sign(&old));
        assert_eq!(rig.look(), None);
        let first = rig.look().unwrap();
        let new = object(ID, "2001:db8::/32", r#","noInternet":true"#);
        rig.write("cafe.json", &new);
        assert_eq!([rig.look(), rig.look()], [Some(first); 2]);
        rig.write("cafe.jws", "not one");
        assert_eq!([rig.look(), rig.look()], [Some(first); 2]);
        rig.write("cafe.jws", &sign(&new));
        let second = first.wrapping_add(1);
        assert_eq!([rig.look(), rig.look()], [Some(first), Some(second)]);
    }
}
