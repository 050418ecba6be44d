//! The tunnels that this node was told of, and where they are.
//!
//! ```text
//!            up                   interface with its address            interface or address gone, or down
//!   (unknown) --> told, waiting ------------------------------> placed ------------------------------------> (unknown)
//! ```
//! strongSwan tells of each pair of traffic selectors, of a new SA before the old one ends, and of no rekeying. So each `up` is
//! counted, and ended by one `down` that tells the same addresses and prefixes.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pvd::bindings::tunnel::{Tunnel, Unusable};
use pvd::{InterfaceName, PvdId};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::found::Found;
use super::told::Told;
use crate::provisioning::file;

/// Most parts that are known.
const MAX_PARTS: usize = 128;
/// Longest file, in bytes: each part is told in less than 16 KiB.
const MAX_FILE_BYTES: usize = MAX_PARTS * 16 * 1024;

/// Why a tunnel is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    /// It can be none.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It has no interface of its own.
    #[error(
        "{address} is on {interface}, which carries the tunnel, too; a PvD needs an interface of its own: an XFRM interface (if_id_out and if_id_in in swanctl.conf), or the TUN device of kernel-libipsec"
    )]
    Shared {
        /// The inner address.
        address: std::net::IpAddr,
        /// Where it is.
        interface: InterfaceName,
    },
    /// There are many.
    #[error("{MAX_PARTS} tunnels are known, and no more are taken")]
    TooMany,
    /// What ends was not there.
    #[error("no such tunnel to {0} is known")]
    Unknown(PvdId),
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Tunnels {
    parts: Vec<Part>,
    file: PathBuf,
}

/// One pair of traffic selectors.
#[derive(Clone, Debug)]
struct Part {
    told: Told,
    tunnel: Tunnel,
    times: u32,
    place: Option<Place>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    name: String,
    index: u32,
}

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    told: Told,
    times: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
}

impl Tunnels {
    /// Those that an earlier daemon was told of; what is no file of ours is as none.
    pub(crate) fn load(file: &Path) -> Self {
        let entries = read(file).unwrap_or_else(|error| {
            tracing::warn!(file = %file.display(), %error, "the tunnels told of before are not known");
            Vec::new()
        });
        let parts = entries.into_iter().take(MAX_PARTS).filter_map(|entry| {
            Some(Part {
                tunnel: entry.told.tunnel().ok()?,
                told: entry.told,
                times: entry.times,
                place: entry.place,
            })
        });
        Self {
            parts: parts.collect(),
            file: file.to_owned(),
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// A tunnel, or a part of one, is there. Its interface, if that is there already.
    ///
    /// # Errors
    /// [`TunnelError`]; then nothing is different.
    pub(crate) fn begin(
        &mut self,
        told: Told,
        interfaces: &BTreeMap<InterfaceName, Found>,
    ) -> Result<Option<InterfaceName>, TunnelError> {
        let tunnel = told.tunnel()?;
        self.joined_with(&tunnel)?;
        let place = place(&told, interfaces)?;
        let interface = place.as_ref().and_then(|place| place.name.parse().ok());
        let has_room = self.parts.len() < MAX_PARTS;
        match self.position(&told, &tunnel) {
            Some(part) => {
                part.times = part.times.saturating_add(1);
                (part.told, part.tunnel, part.place) = (told, tunnel, place);
            }
            None if has_room => self.parts.push(Part {
                told,
                tunnel,
                times: 1,
                place,
            }),
            None => return Err(TunnelError::TooMany),
        }
        self.save();
        Ok(interface)
    }

    /// One is there no more.
    ///
    /// # Errors
    /// [`TunnelError`]
    pub(crate) fn end(&mut self, told: &Told) -> Result<(), TunnelError> {
        let tunnel = told.tunnel()?;
        let part = self.position(told, &tunnel);
        let part = part.ok_or_else(|| TunnelError::Unknown(told.pvd.clone()))?;
        part.times = part.times.saturating_sub(1);
        self.parts.retain(|part| part.times > 0);
        self.save();
        Ok(())
    }

    /// Forgets those that were on an interface which is not there any more, or without their address; says which.
    pub(crate) fn look(&mut self, interfaces: &BTreeMap<InterfaceName, Found>) -> Vec<PvdId> {
        let before: Vec<_> = self.parts.iter().map(|part| part.place.clone()).collect();
        let mut gone = Vec::new();
        self.parts.retain_mut(|part| {
            // One that shares its interface has none.
            let now = place(&part.told, interfaces).ok().flatten();
            let stays = part.place.is_none() || part.place == now;
            part.place = now;
            if !stays {
                gone.push(part.told.pvd.clone());
            }
            stays
        });
        if !self.parts.iter().map(|part| &part.place).eq(before.iter()) {
            self.save();
        }
        gone
    }

    /// Those that are there, with all of their parts.
    pub(crate) fn placed(&self) -> BTreeMap<(InterfaceName, PvdId), Tunnel> {
        let mut all: BTreeMap<_, Tunnel> = BTreeMap::new();
        for part in &self.parts {
            let place = part.place.as_ref().and_then(|it| it.name.parse().ok());
            let Some(interface) = place else { continue };
            all.entry((interface, part.told.pvd.clone()))
                // It was found that they go together when they were told.
                .and_modify(|tunnel| *tunnel = tunnel.join(&part.tunnel).unwrap_or(tunnel.clone()))
                .or_insert_with(|| part.tunnel.clone());
        }
        all
    }

    fn position(&mut self, told: &Told, tunnel: &Tunnel) -> Option<&mut Part> {
        let mut parts = self.parts.iter_mut();
        parts.find(|part| part.told.interface == told.interface && part.tunnel.is_same_part(tunnel))
    }

    fn joined_with(&self, tunnel: &Tunnel) -> Result<(), Unusable> {
        let same = self
            .parts
            .iter()
            .map(|part| &part.tunnel)
            .filter(|it| it.facts().pvd == tunnel.facts().pvd);
        let joined = same
            .cloned()
            .try_fold(tunnel.clone(), |all, one| all.join(&one));
        joined.map(drop)
    }

    fn save(&self) {
        let written = write(&self.file, &self.parts);
        if let Err(error) = written {
            tracing::warn!(file = %self.file.display(), %error, "tunnels are forgotten when this daemon ends");
        }
    }
}

/// Where a tunnel is now.
fn place(
    told: &Told,
    interfaces: &BTreeMap<InterfaceName, Found>,
) -> Result<Option<Place>, TunnelError> {
    let own = |found: &Found| {
        let mut inner = told.addresses.iter().copied();
        inner.find(|address| found.addresses.contains(address))
    };
    let named = |name: &InterfaceName| told.interface.as_ref().is_none_or(|it| it == name);
    let mut there = interfaces
        .iter()
        .filter(|(name, _)| named(name))
        .filter_map(|(name, found)| Some((name, found, own(found)?)));
    let Some((name, found, address)) = there.next() else {
        return Ok(None);
    };
    if found.addresses.contains(&told.outer) {
        let interface = name.clone();
        return Err(TunnelError::Shared { address, interface });
    }
    Ok(Some(Place {
        name: name.to_string(),
        index: found.index,
    }))
}

/// What an earlier daemon wrote. Where a folder belongs to everybody, anybody may have put something there.
fn read(file: &Path) -> io::Result<Vec<Entry>> {
    let owner = match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?.uid(),
    };
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        let sentence = "it belongs to another user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
    }
    let text = file::read_of_stranger(file, MAX_FILE_BYTES)?;
    Ok(serde_json::from_slice(&text)?)
}

fn write(file: &Path, parts: &[Part]) -> io::Result<()> {
    let entries = parts.iter().map(|part| Entry {
        told: part.told.clone(),
        times: part.times,
        place: part.place.clone(),
    });
    let entries: Vec<_> = entries.collect();
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    let mut temporary = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    temporary.write_all(&serde_json::to_vec_pretty(&entries)?)?;
    temporary
        .as_file()
        .set_permissions(Permissions::from_mode(0o600))?;
    temporary.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(prefix: &str) -> Told {
        let text = format!(
            r#"{{"pvd":"office.example","gateway":"192.0.2.1","outer":"198.51.100.5","addresses":["10.9.0.5"],
                "prefixes":["{prefix}"],"resolvers":["10.1.0.53"],"search":["office.example"]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn interfaces(all: &[(&str, u32, &[&str])]) -> BTreeMap<InterfaceName, Found> {
        let all = all.iter().map(|(name, index, addresses)| {
            let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
            let index = *index;
            (name.parse().unwrap(), Found { index, addresses })
        });
        all.collect()
    }

    fn there() -> BTreeMap<InterfaceName, Found> {
        interfaces(&[
            ("fixed0", 2, &["198.51.100.5"]),
            ("ipsec0", 3, &["10.9.0.5"]),
        ])
    }

    fn empty() -> (tempfile::TempDir, Tunnels) {
        let folder = tempfile::tempdir().unwrap();
        let tunnels = Tunnels::load(&folder.path().join("pvd.tunnels"));
        (folder, tunnels)
    }

    fn reached(tunnels: &Tunnels) -> Vec<String> {
        let placed = tunnels.placed();
        let prefixes = placed.values().flat_map(|tunnel| &tunnel.facts().reaches);
        prefixes.map(ToString::to_string).collect()
    }

    #[test]
    fn parts_are_joined_and_end_one_by_one() {
        let (_folder, mut tunnels) = empty();
        let there = there();
        let first = tunnels.begin(told("10.1.0.0/16"), &there).unwrap();
        assert_eq!(first.unwrap().as_str(), "ipsec0");
        tunnels.begin(told("10.2.0.0/16"), &there).unwrap();
        assert_eq!(tunnels.placed().len(), 1);
        assert_eq!(reached(&tunnels), ["10.1.0.0/16", "10.2.0.0/16"]);
        // A new SA is told of before the old one ends.
        tunnels.begin(told("10.2.0.0/16"), &there).unwrap();
        tunnels.end(&told("10.2.0.0/16")).unwrap();
        tunnels.end(&told("10.1.0.0/16")).unwrap();
        assert_eq!(reached(&tunnels), ["10.2.0.0/16"]);
        tunnels.end(&told("10.2.0.0/16")).unwrap();
        assert!(matches!(
            tunnels.end(&told("10.2.0.0/16")),
            Err(TunnelError::Unknown(_))
        ));
    }

    #[test]
    fn a_tunnel_waits_for_its_interface_and_goes_with_it() {
        let (_folder, mut tunnels) = empty();
        let outside = interfaces(&[("fixed0", 2, &["198.51.100.5"])]);
        assert_eq!(tunnels.begin(told("10.1.0.0/16"), &outside).unwrap(), None);
        assert!(tunnels.look(&outside).is_empty() && tunnels.placed().is_empty());
        assert!(tunnels.look(&there()).is_empty());
        assert_eq!(tunnels.placed().len(), 1);
        // Another interface of this name is not it.
        let other = interfaces(&[("ipsec0", 4, &["10.9.0.5"])]);
        assert_eq!(tunnels.look(&other).len(), 1);
        assert!(tunnels.look(&there()).is_empty() && tunnels.placed().is_empty());
    }

    #[test]
    fn a_restart_forgets_only_what_went_meanwhile() {
        let (folder, mut tunnels) = empty();
        tunnels.begin(told("10.1.0.0/16"), &there()).unwrap();
        tunnels.begin(told("10.1.0.0/16"), &there()).unwrap();
        let file = folder.path().join("pvd.tunnels");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut again = Tunnels::load(&file);
        assert!(again.look(&there()).is_empty());
        assert_eq!(again.placed(), tunnels.placed());
        again.end(&told("10.1.0.0/16")).unwrap();
        assert_eq!(again.placed().len(), 1);
        let mut later = Tunnels::load(&file);
        let gone = later.look(&interfaces(&[("ipsec0", 3, &["10.9.0.6"])]));
        assert_eq!(gone.len(), 1);
        // Only root can make it somebody else's.
        if std::os::unix::fs::chown(&file, Some(1000), None).is_ok() {
            let is_own = rustix::process::geteuid().as_raw() == 1000;
            assert_eq!(Tunnels::load(&file).is_empty(), !is_own);
        }
        fs::remove_file(&file).unwrap();
        fs::write(&file, "nonsense").unwrap();
        assert!(Tunnels::load(&file).is_empty());
    }

    #[test]
    fn a_tunnel_without_an_interface_of_its_own_is_refused() {
        let (_folder, mut tunnels) = empty();
        let shared = interfaces(&[("fixed0", 2, &["198.51.100.5", "10.9.0.5"])]);
        let refused = tunnels.begin(told("10.1.0.0/16"), &shared).unwrap_err();
        assert!(refused.to_string().starts_with("10.9.0.5 is on fixed0"));
        assert!(reached(&tunnels).is_empty());
    }

    #[test]
    fn so_many_are_taken_and_no_more() {
        let (_folder, mut tunnels) = empty();
        for number in 0..MAX_PARTS {
            let mut one = told("10.1.0.0/16");
            one.pvd = format!("office{number}.example").parse().unwrap();
            tunnels.begin(one, &there()).unwrap();
        }
        assert!(matches!(
            tunnels.begin(told("10.1.0.0/16"), &there()),
            Err(TunnelError::TooMany)
        ));
    }
}
