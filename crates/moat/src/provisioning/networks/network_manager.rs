//! Networks as NetworkManager reads them: a keyfile for each (nm-settings-keyfile(5)).
//!
//! Names are lists of octets. A passphrase is printable ASCII by then; of that a keyfile escapes the backslash, and spaces where they could
//! be lost, so they are escaped everywhere.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use openssl::sha::sha256;
use pvd::PvdId;
use pvd::information::credentials::{Access, Network, Passphrase, Ssid};

/// How the names of keyfiles end.
const END: &str = ".nmconnection";

/// A file for each network, with its name. The preferred one has the highest priority, and the next one is joined where that is not there.
pub(super) fn profiles<'a>(
    pvd: &'a PvdId,
    networks: &'a [Network],
) -> impl Iterator<Item = (String, String)> + 'a {
    let numbered = networks.iter().zip((1..=networks.len()).rev());
    numbered.map(|(network, priority)| {
        let ssid = &network.ssid;
        let name = format!("{}{ssid}{END}", prefix(pvd));
        (name, profile(pvd, network, priority))
    })
}

/// Deletes those of this PvD that are not among the files, and leaves all others alone.
///
/// # Errors
/// Those of the system.
pub(super) fn others(pvd: &PvdId, folder: &Path, files: &[PathBuf]) -> io::Result<()> {
    let prefix = prefix(pvd);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with(&prefix) && name.ends_with(END) && !files.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// How the names of the files of a PvD begin.
fn prefix(pvd: &PvdId) -> String {
    let digest = sha256(pvd.as_str().as_bytes());
    format!("moat-{}-", hexadecimal(&digest[..8]))
}

fn profile(pvd: &PvdId, network: &Network, priority: usize) -> String {
    let ssid = &network.ssid;
    let hidden = if network.is_hidden {
        "hidden=true\n"
    } else {
        ""
    };
    let octets = ssid.octets().iter().map(|octet| format!("{octet};"));
    let octets: String = octets.collect();
    let security = match &network.access {
        Access::Open => String::new(),
        // NetworkManager goes on to WPA3 where it is spoken.
        Access::Wpa(passphrase) => security("wpa-psk", &escaped(passphrase)),
        Access::Wpa2(key) => security("wpa-psk", &hexadecimal(key)),
        Access::Wpa3(passphrase) => security("sae", &escaped(passphrase)),
    };
    format!(
        "# Written by `moat pvd networks apply`, which writes it anew.\n\
         [connection]\nid=moat {ssid}\nuuid={}\ntype=wifi\nautoconnect-priority={priority}\n\n\
         [wifi]\nmode=infrastructure\nssid={octets}\n{hidden}\n{security}\
         [ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n",
        uuid(pvd, ssid)
    )
}

fn security(management: &str, psk: &str) -> String {
    format!("[wifi-security]\nkey-mgmt={management}\npsk={psk}\n\n")
}

fn escaped(passphrase: &Passphrase) -> String {
    let text = passphrase.expose().replace('\\', "\\\\");
    text.replace(' ', "\\s")
}

/// The same for the same network each time, so that it stays one connection (RFC 9562 §5.8).
fn uuid(pvd: &PvdId, ssid: &Ssid) -> String {
    let digest = sha256(format!("{pvd} {ssid}").as_bytes());
    let mut octets = [0; 16];
    octets.copy_from_slice(&digest[..16]);
    octets[6] = octets[6] & 0x0f | 0x80;
    octets[8] = octets[8] & 0x3f | 0x80;
    let digits = hexadecimal(&octets);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts = parts.map(|part| digits.get(part).unwrap_or_default().to_owned());
    parts.join("-")
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
