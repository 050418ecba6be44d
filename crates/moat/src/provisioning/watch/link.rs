//! What the kernel says of the link of an interface: getifaddrs(3), and sysfs for what that does not know
//! (`Documentation/ABI/testing/sysfs-class-net`).

use std::fs;
use std::path::{Path, PathBuf};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use pvd::{InterfaceName, LinkEvidence};

/// Where the kernel shows its interfaces: those of the network namespace in which it was mounted, perhaps of another one.
const INTERFACES: &str = "/sys/class/net";
/// How deep interfaces may lie on one another: a VLAN on a bridge on a bond is three.
const DEEPEST: u8 = 8;
/// Ethernet, and whatever looks like it (RFC 826).
const ETHERNET: &str = "1";

/// An interface whose link is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Of the interface; another one of the same name has another number.
    pub(super) index: u32,
    /// How often the link came or went, where that is known: another number is another attachment.
    pub(super) carrier_changes: Option<u64>,
    /// What is known of it.
    pub(super) evidence: LinkEvidence,
}

/// Looks at an interface; `None` if it is not there, or its link is not.
pub(super) fn look(name: &InterfaceName) -> Option<Link> {
    let mut entries = getifaddrs().ok()?;
    let is_there = entries.any(|entry| {
        let is_it = entry.interface_name == name.as_str();
        is_it && entry.flags.contains(InterfaceFlags::IFF_RUNNING)
    });
    // What has no link-layer address has no entry that says it.
    let index = if_nametoindex(name.as_str()).ok().filter(|_| is_there)?;
    let folder = Path::new(INTERFACES).join(name.as_str());
    let is_shown = text(&folder, "ifindex") == Some(index.to_string());
    let folder = is_shown.then_some(folder);
    let changes = folder
        .as_ref()
        .and_then(|folder| text(folder, "carrier_changes"));
    Some(Link {
        index,
        carrier_changes: changes.and_then(|changes| changes.parse().ok()),
        evidence: folder.map_or(LinkEvidence::OpenWireless, |folder| {
            evidence(&folder, DEEPEST)
        }),
    })
}

/// Why there is nothing to look at.
pub(super) fn why_missing(name: &InterfaceName) -> &'static str {
    match if_nametoindex(name.as_str()) {
        Ok(_) => "it has no link: it is down, or nothing is at its other end",
        Err(_) => "there is no such interface: check the name (`ip link` shows them)",
    }
}

/// How hard it is to be a stranger there, as far as the kernel knows. Of a WLAN it says nothing of keys, and of a tunnel nothing of
/// who is at its other end; so both count as open to everybody, unless the administrator says better.
fn evidence(folder: &Path, depth: u8) -> LinkEvidence {
    let is_wireless = ["wireless", "phy80211"]
        .iter()
        .any(|entry| folder.join(entry).exists());
    let is_tunnel = folder.join("tun_flags").exists();
    let is_ethernet = text(folder, "type").as_deref() == Some(ETHERNET);
    if is_wireless || is_tunnel || !is_ethernet || depth == 0 {
        return LinkEvidence::OpenWireless;
    }
    // A bridge or a VLAN is as good as the weakest below it.
    let below = lower(folder)
        .into_iter()
        .map(|folder| evidence(&folder, depth - 1));
    below.min().unwrap_or(LinkEvidence::Wired)
}

/// The interfaces that one lies on.
fn lower(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let entries =
        entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"lower_"));
    entries.map(|entry| entry.path()).collect()
}

fn text(folder: &Path, file: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join(file)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: P-041
    #[test]
    fn what_is_not_known_of_a_link_speaks_against_it() {
        let folder = tempfile::tempdir().unwrap();
        let interface = |name: &str, kind: &str| {
            let folder = folder.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("type"), format!("{kind}\n")).unwrap();
            folder
        };
        let of = |folder: &Path| evidence(folder, DEEPEST);
        let wired = interface("eth0", "1");
        assert_eq!(of(&wired), LinkEvidence::Wired);
        let wireless = interface("wlan0", "1");
        fs::create_dir(wireless.join("phy80211")).unwrap();
        assert_eq!(of(&wireless), LinkEvidence::OpenWireless);
        assert_eq!(of(&interface("wg0", "65534")), LinkEvidence::OpenWireless);
        let bridge = interface("br0", "1");
        std::os::unix::fs::symlink(&wired, bridge.join("lower_eth0")).unwrap();
        assert_eq!(of(&bridge), LinkEvidence::Wired);
        std::os::unix::fs::symlink(&wireless, bridge.join("lower_wlan0")).unwrap();
        assert_eq!(of(&bridge), LinkEvidence::OpenWireless);
        std::os::unix::fs::symlink(&bridge, bridge.join("lower_br0")).unwrap();
        assert_eq!(of(&bridge), LinkEvidence::OpenWireless);
    }
}
