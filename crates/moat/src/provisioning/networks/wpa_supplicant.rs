//! Networks as wpa_supplicant reads them (wpa_supplicant.conf(5)).
//!
//! Nothing is written as a text in quotes, of which the reader would have to find the end: names and passwords are in hexadecimal,
//! and the key of WPA2 is made here of the passphrase, as wpa_passphrase(8) does it.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use pvd::information::credentials::{Access, Network, Passphrase, Ssid};

/// Rounds with which a passphrase becomes a key (IEEE 802.11, annex J.4).
const ROUNDS: usize = 4096;

const HEAD: &str =
    "# Its networks are written by `moat pvd networks apply`, which writes them anew.\n";

/// Where wpa_cli(8) looks, and what is told to read the file again is told there.
const CONTROL: &str = "ctrl_interface=/run/wpa_supplicant\n";

/// A file with all networks; the preferred one has the highest priority, and the next one is joined where that is not there. What the
/// file before said of anything else, such as the country, it goes on to say.
///
/// # Errors
/// Those of OpenSSL.
pub(super) fn configuration(
    networks: &[Network],
    before: Option<&str>,
) -> Result<String, ErrorStack> {
    let mut text = HEAD.to_owned();
    match before {
        Some(before) => text.extend(settings(before).map(|line| format!("{line}\n"))),
        None => text += CONTROL,
    }
    for (network, priority) in networks.iter().zip((1..=networks.len()).rev()) {
        text += "network={\n";
        for (key, value) in lines(network, priority)? {
            text += &format!("\t{key}={value}\n");
        }
        text += "}\n";
    }
    Ok(text)
}

/// The lines of a file that are about no network: those before the first block.
fn settings(file: &str) -> impl Iterator<Item = &str> {
    let lines = file.lines().take_while(|line| !line.contains('{'));
    lines.filter(|line| !line.trim().is_empty() && *line != HEAD.trim_end())
}

fn lines(network: &Network, priority: usize) -> Result<Vec<(&'static str, String)>, ErrorStack> {
    let ssid = &network.ssid;
    let mut lines = vec![
        ("ssid", ssid.to_string()),
        ("priority", priority.to_string()),
    ];
    if network.is_hidden {
        lines.push(("scan_ssid", "1".to_owned()));
    }
    let password = |passphrase: &Passphrase| hexadecimal(passphrase.expose().as_bytes());
    let (management, secrets, protection) = match &network.access {
        Access::Open => ("NONE", Vec::new(), "0"),
        Access::Wpa(passphrase) => {
            let secrets = vec![
                ("psk", hexadecimal(&psk(passphrase, ssid)?)),
                ("sae_password", password(passphrase)),
            ];
            ("WPA-PSK WPA-PSK-SHA256 SAE", secrets, "1")
        }
        Access::Wpa2(key) => (
            "WPA-PSK WPA-PSK-SHA256",
            vec![("psk", hexadecimal(key))],
            "1",
        ),
        Access::Wpa3(passphrase) => {
            let secrets = vec![("sae_password", password(passphrase))];
            ("SAE", secrets, "2")
        }
    };
    lines.push(("key_mgmt", management.to_owned()));
    lines.push(("ieee80211w", protection.to_owned()));
    lines.extend(secrets);
    Ok(lines)
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The key that WPA2 makes of a passphrase and the name of the network.
fn psk(passphrase: &Passphrase, ssid: &Ssid) -> Result<[u8; 32], ErrorStack> {
    let mut key = [0; 32];
    let passphrase = passphrase.expose().as_bytes();
    pbkdf2_hmac(
        passphrase,
        ssid.octets(),
        ROUNDS,
        MessageDigest::sha1(),
        &mut key,
    )?;
    Ok(key)
}
