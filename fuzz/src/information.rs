//! What the server of a PvD can answer, or a file contain.

use std::time::SystemTime;

use pvd::AdditionalInformation;
use pvd::information::Read;
use pvd::information::credentials::{Access, Credentials};

/// The object, read in 1970, so that it has not expired; and the same text as the credentials of a device.
pub fn additional_information(text: &[u8]) {
    credentials(text);
    let read = |text: &[u8]| AdditionalInformation::read(text, SystemTime::UNIX_EPOCH);
    let Ok(Read { information, .. }) = read(text) else {
        return;
    };
    for prefix in &information.prefixes {
        assert!(information.covers(prefix));
    }
    let again = read(information.to_json().as_bytes()).expect("what was written");
    assert_eq!(again.information, information);
    assert_eq!(again.ignored, [""; 0]);
}

/// What is written for a supplicant has no octet in it that would end a line.
fn credentials(text: &[u8]) {
    let Ok(Credentials { networks, .. }) = Credentials::read(text) else {
        return;
    };
    for network in networks {
        assert!((1..=32).contains(&network.ssid.octets().len()));
        if let Access::Wpa(passphrase) | Access::Wpa3(passphrase) = network.access {
            let passphrase = passphrase.expose();
            assert!((8..=63).contains(&passphrase.len()));
            assert!(passphrase.bytes().all(|octet| (32..127).contains(&octet)));
        }
    }
}
