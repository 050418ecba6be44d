//! With what a device gets into networks: the JSON that is sealed for its key (`networks` in `vendor-moat`).
//!
//! ```text
//! {"networks": [{"ssid": "home", "passphrase": "..."}, {"ssid": "neighbour", "security": "open"}]}
//! ```
//! The order is that of preference. A network that cannot be used is left out, since a device on a ceiling is better off with the others; no
//! word of what is said about it is taken from it.

use std::collections::BTreeSet;
use std::fmt;

use super::fields::{Fields, Ignored, Unreadable, boolean, text};
use super::json::{self, Json, NotIJson};
use super::registry::Dictionary;

/// Most networks of one device.
pub const MAX_NETWORKS: usize = 64;
/// Octets of the name of a WLAN (IEEE 802.11).
const SSID_OCTETS: std::ops::RangeInclusive<usize> = 1..=32;
/// Characters of a passphrase (IEEE 802.11).
const PASSPHRASE_CHARACTERS: std::ops::RangeInclusive<usize> = 8..=63;
/// Octets of a pre-shared key (IEEE 802.11).
const PSK_OCTETS: usize = 32;

/// The networks of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Each with another name, the preferred one first.
    pub networks: Vec<Network>,
    /// What was left out, in words that may be shown.
    pub ignored: Vec<String>,
}

/// A WLAN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub ssid: Ssid,
    /// How one gets in.
    pub access: Access,
    /// It does not say its name, so devices have to ask for it by name, which tells it to everybody.
    pub is_hidden: bool,
}

/// The name of a WLAN: 1 to 32 octets, of whatever kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ssid(Vec<u8>);

/// How a device gets into a WLAN.
#[derive(Clone, PartialEq, Eq)]
pub enum Access {
    /// Like everybody.
    Open,
    /// With WPA2 or WPA3, whatever there is.
    Wpa(Passphrase),
    /// With WPA2 and the key itself; WPA3 would need the passphrase.
    Wpa2([u8; PSK_OCTETS]),
    /// With WPA3 and nothing less.
    Wpa3(Passphrase),
}

/// What people type: 8 to 63 printable ASCII characters. It has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(String);

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCredentials {
    /// Not even an object of which all understand the same.
    #[error(transparent)]
    NotIJson(#[from] NotIJson),
    /// No list of networks.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No network that can be used.
    #[error("there is no network in it that can be used{}", because(.0))]
    NoNetwork(Vec<String>),
}

impl Credentials {
    /// Reads what was sealed, or is to be.
    ///
    /// # Errors
    /// [`NoCredentials`]
    pub fn read(text: &[u8]) -> Result<Self, NoCredentials> {
        let root = Json::Object(json::read(text)?);
        let mut ignored = Ignored::default();
        let mut fields = Fields::open_known(Dictionary::Credentials, "", root)?;
        let list = |value, place: &str| match &value {
            Json::List(list) if list.len() > MAX_NETWORKS => {
                Err(Unreadable::new(place, "has more than 64 networks"))
            }
            Json::List(_) => Ok(value),
            _ => Err(Unreadable::new(place, "is no list")),
        };
        let list = fields.mandatory("networks", list)?;
        let mut names = BTreeSet::new();
        let networks = ignored.each(list, "networks", |value, place, _| {
            let network = network(value, place)?;
            match names.insert(network.ssid.clone()) {
                true => Ok(network),
                false => Err(Unreadable::new(place, "has the name of one before it")),
            }
        });
        let ignored = ignored.into_notes();
        match networks.is_empty() {
            true => Err(NoCredentials::NoNetwork(ignored)),
            false => Ok(Self { networks, ignored }),
        }
    }
}

fn because(faults: &[String]) -> String {
    match faults {
        [] => String::new(),
        faults => format!(": {}", faults.join("; ")),
    }
}

fn network(value: Json, place: &str) -> Result<Network, Unreadable> {
    let fault = |fault| Unreadable::new(place, fault);
    let mut fields = Fields::open_known(Dictionary::Network, place, value)?;
    let ssid = fields.optional("ssid", |value, place| {
        Ssid::new(text(value, place)?.into_bytes(), place)
    })?;
    let ssid_hex = fields.optional("ssidHex", |value, place| {
        let octets = hexadecimal(&text(value, place)?);
        let octets = octets.ok_or_else(|| Unreadable::new(place, "is not hexadecimal"))?;
        Ssid::new(octets, place)
    })?;
    let ssid = match (ssid, ssid_hex) {
        (Some(ssid), None) | (None, Some(ssid)) => ssid,
        _ => return Err(fault("has not just one of ssid and ssidHex")),
    };
    let passphrase = fields.optional("passphrase", |value, place| {
        Passphrase::new(text(value, place)?, place)
    })?;
    let psk = fields.optional("psk", |value, place| {
        let octets = hexadecimal(&text(value, place)?).and_then(|it| it.try_into().ok());
        octets.ok_or_else(|| Unreadable::new(place, "has not 64 hexadecimal digits"))
    })?;
    let security = fields.optional("security", text)?;
    let security = security.as_deref().unwrap_or("wpa");
    let access = match (security, passphrase, psk) {
        // A key for nothing is a mistake, and without it the device would join whoever takes the name.
        ("open", None, None) => Access::Open,
        ("wpa", Some(passphrase), None) => Access::Wpa(passphrase),
        ("wpa", None, Some(psk)) => Access::Wpa2(psk),
        ("wpa3", Some(passphrase), None) => Access::Wpa3(passphrase),
        ("open", ..) => return Err(fault("is open and has a key")),
        ("wpa", ..) => return Err(fault("has not just one of passphrase and psk")),
        ("wpa3", ..) => return Err(fault("needs a passphrase and no psk for WPA3")),
        _ => {
            return Err(fault(
                "has another security than \"wpa\", \"wpa3\" or \"open\"",
            ));
        }
    };
    Ok(Network {
        ssid,
        access,
        is_hidden: fields.optional("hidden", boolean)?.unwrap_or_default(),
    })
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    let octets = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    octets.collect()
}

impl Ssid {
    fn new(octets: Vec<u8>, place: &str) -> Result<Self, Unreadable> {
        match SSID_OCTETS.contains(&octets.len()) {
            true => Ok(Self(octets)),
            false => Err(Unreadable::new(place, "has not 1 to 32 octets")),
        }
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl Passphrase {
    fn new(text: String, place: &str) -> Result<Self, Unreadable> {
        let is_printable = text.bytes().all(|octet| (b' '..=b'~').contains(&octet));
        match is_printable && PASSPHRASE_CHARACTERS.contains(&text.len()) {
            true => Ok(Self(text)),
            false => Err(Unreadable::new(
                place,
                "has not 8 to 63 printable ASCII characters",
            )),
        }
    }

    /// It, for whoever needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ssid {
    /// In hexadecimal: a name may have octets that a terminal, or the reader of a file, obeys.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl fmt::Debug for Ssid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Open => "open",
            Self::Wpa(_) => "WPA2 or WPA3",
            Self::Wpa2(_) => "WPA2",
            Self::Wpa3(_) => "WPA3",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(networks: &str) -> Result<Credentials, NoCredentials> {
        Credentials::read(format!(r#"{{"networks":[{networks}]}}"#).as_bytes())
    }

    /// Covers: P-049
    #[test]
    fn networks_keep_their_order() {
        let psk = "0a".repeat(32);
        let text = format!(
            r#"{{"ssid":"home","passphrase":"correct horse"}},
            {{"ssidHex":"ff00","psk":"{psk}","hidden":true}},
            {{"ssid":"new","security":"wpa3","passphrase":"12345678"}},
            {{"ssid":"\u0000\n\"","security":"open"}}"#
        );
        let read = read(&text).unwrap();
        assert_eq!(read.ignored, [""; 0]);
        let shown = read.networks.iter();
        let shown: Vec<_> = shown
            .map(|it| format!("{} {:?} {}", it.ssid, it.access, it.is_hidden))
            .collect();
        let expected = [
            "686f6d65 WPA2 or WPA3 false",
            "ff00 WPA2 true",
            "6e6577 WPA3 false",
            "000a22 open false",
        ];
        assert_eq!(shown, expected);
    }

    /// Covers: P-051. And no word of it is shown, whatever is wrong with it.
    #[test]
    fn what_cannot_be_used_is_left_out_and_never_quoted() {
        let long = "s".repeat(64);
        let faults = [
            (r#"{}"#.to_owned(), "has not just one of ssid and ssidHex"),
            (
                r#"{"ssid":"a","ssidHex":"00","passphrase":"secretsecret"}"#.to_owned(),
                "has not just one of ssid and ssidHex",
            ),
            (
                r#"{"ssid":"a"}"#.to_owned(),
                "has not just one of passphrase and psk",
            ),
            (
                r#"{"ssid":"a","security":"open","passphrase":"secretsecret"}"#.to_owned(),
                "is open and has a key",
            ),
            (
                r#"{"ssid":"a","security":"secret"}"#.to_owned(),
                "has another security",
            ),
            (
                r#"{"ssid":"a","security":"wpa3","psk":"00"}"#.to_owned(),
                ".psk has not 64 hexadecimal digits",
            ),
            (
                r#"{"ssid":"a","passphrase":"secret"}"#.to_owned(),
                ".passphrase has not 8 to 63 printable",
            ),
            (
                format!(r#"{{"ssid":"a","passphrase":"{long}"}}"#),
                ".passphrase has not 8 to 63 printable",
            ),
            (
                r#"{"ssid":"a","passphrase":"secret\nsecret"}"#.to_owned(),
                ".passphrase has not 8 to 63 printable",
            ),
            (
                r#"{"ssid":"a","passphrase":"secretsecrét"}"#.to_owned(),
                ".passphrase has not 8 to 63 printable",
            ),
            (
                format!(r#"{{"ssid":"{long}","passphrase":"secretsecret"}}"#),
                ".ssid has not 1 to 32 octets",
            ),
            (
                r#"{"ssid":"a","passphrase":"secretsecret","secret":1}"#.to_owned(),
                "has a key that is not known",
            ),
            (
                r#"{"ssid":"good","passphrase":"secretsecret"}"#.to_owned(),
                "has the name of one before it",
            ),
        ];
        for (fault, reason) in faults {
            let good = r#"{"ssid":"good","passphrase":"secretsecret"}"#;
            let read = read(&format!("{good},{fault}")).unwrap();
            assert_eq!(read.networks.len(), 1, "{fault}");
            assert!(
                read.ignored[0].contains(reason),
                "{fault}: {:?}",
                read.ignored
            );
            assert!(!format!("{read:?}").contains("secret"), "{read:?}");
        }
        assert_eq!(read(""), Err(NoCredentials::NoNetwork(Vec::new())));
        let none = read(r#"{"ssid":"a"}"#).unwrap_err().to_string();
        assert!(
            none.ends_with("networks[0] has not just one of passphrase and psk"),
            "{none}"
        );
        let many = vec!["{}"; MAX_NETWORKS + 1].join(",");
        assert!(matches!(read(&many), Err(NoCredentials::Unreadable(_))));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"networks":{}}"#,
            r#"{"networks":[],"a":1}"#,
        ] {
            assert!(Credentials::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets: Vec<u8>) {
            let _read = Credentials::read(&octets);
        }
    }
}
