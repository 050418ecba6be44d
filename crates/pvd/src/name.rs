//! Domain names, as Router Advertisements, DHCP and the DNS carry them.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// Longest domain name, in octets with all lengths and the root (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;
/// Longest label, in octets (RFC 1035 §2.3.4).
const LONGEST_LABEL: usize = 63;

/// A complete domain name of at least one label.
///
/// Held in lower case, because the DNS compares names so. A label may have any octets: instances of
/// DNS-SD are called what their owners like (RFC 6763 §4.1.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DomainName {
    labels: Vec<Box<[u8]>>,
}

/// Why something is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The root, or nothing at all.
    #[error("the name is empty")]
    Empty,
    /// It ends within a label, or before its root label.
    #[error("the name is cut short")]
    Truncated,
    /// An empty label, one of more than 63 octets, or a pointer where there may be none.
    #[error("a label has between 1 and 63 octets")]
    Label,
    /// More than 255 octets.
    #[error("a domain name has at most {LONGEST_NAME} octets")]
    TooLong,
    /// A character that would need an escape in text, where only plain names are taken.
    #[error("a label has a character that host names do not have")]
    Character,
}

impl DomainName {
    /// The name of these labels, from the most specific one; without the root.
    ///
    /// # Errors
    /// [`NameError`]
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut length = 1;
        let mut taken: Vec<Box<[u8]>> = Vec::new();
        for label in labels {
            if label.is_empty() || label.len() > LONGEST_LABEL {
                return Err(NameError::Label);
            }
            length += 1 + label.len();
            if length > LONGEST_NAME {
                return Err(NameError::TooLong);
            }
            taken.push(label.to_ascii_lowercase().into());
        }
        match taken.is_empty() {
            true => Err(NameError::Empty),
            false => Ok(Self { labels: taken }),
        }
    }

    /// Reads the name at the start of `wire`, uncompressed (RFC 8415 §10), and says what is behind it.
    ///
    /// # Errors
    /// [`NameError`]
    pub fn read(wire: &[u8]) -> Result<(Self, &[u8]), NameError> {
        let mut labels = Vec::new();
        let mut rest = wire;
        loop {
            let (&length, behind) = rest.split_first().ok_or(NameError::Truncated)?;
            let length = usize::from(length);
            if wire.len() - behind.len() > LONGEST_NAME {
                return Err(NameError::TooLong);
            }
            if length == 0 {
                return Ok((Self::from_labels(labels)?, behind));
            }
            if length > LONGEST_LABEL {
                return Err(NameError::Label);
            }
            let (label, behind) = behind
                .split_at_checked(length)
                .ok_or(NameError::Truncated)?;
            labels.push(label);
            rest = behind;
        }
    }

    /// Appends the name as it goes over the wire, uncompressed (RFC 1035 §3.1).
    pub fn write(&self, wire: &mut Vec<u8>) {
        write(self.labels(), wire);
    }

    /// Its labels, from the most specific one; without the root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.labels.iter().map(AsRef::as_ref)
    }

    /// The name of these labels below this name.
    ///
    /// # Errors
    /// [`NameError::TooLong`], [`NameError::Label`]
    pub fn below(&self, labels: &[&str]) -> Result<Self, NameError> {
        let labels = labels.iter().map(|label| label.as_bytes());
        Self::from_labels(labels.chain(self.labels()))
    }

    /// Whether this is `domain` or a name below it.
    pub fn is_within(&self, domain: &Self) -> bool {
        self.labels.ends_with(&domain.labels)
    }
}

/// Appends labels of at most 63 octets each, and the root.
pub(crate) fn write<'a>(labels: impl Iterator<Item = &'a [u8]>, wire: &mut Vec<u8>) {
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap_or_default());
        wire.extend_from_slice(label);
    }
    wire.push(0);
}

impl FromStr for DomainName {
    type Err = NameError;

    /// Reads plain names such as `example.net` or `_dots-signal._udp.example.net.`; nothing is escaped.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !name.bytes().all(plain) {
            return Err(NameError::Character);
        }
        Self::from_labels(name.split('.').map(str::as_bytes))
    }
}

impl fmt::Display for DomainName {
    /// Without the trailing dot; what is not plain is escaped (RFC 1035 §5.1).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, label) in self.labels().enumerate() {
            if position > 0 {
                formatter.write_char('.')?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' => write!(formatter, "\\{}", char::from(octet))?,
                    b'!'..=b'~' => formatter.write_char(char::from(octet))?,
                    _ => write!(formatter, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// A domain name that a certificate can be for: letters, digits and hyphens (RFC 6125 §6.4.1, RFC 1123 §2.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(DomainName);

impl HostName {
    /// The name.
    pub fn name(&self) -> &DomainName {
        &self.0
    }
}

impl TryFrom<DomainName> for HostName {
    type Error = NameError;

    fn try_from(name: DomainName) -> Result<Self, NameError> {
        let plain = |label: &[u8]| {
            let ends = [label.first(), label.last()];
            label
                .iter()
                .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
                && !ends.contains(&Some(&b'-'))
        };
        if name.labels().all(plain) {
            Ok(Self(name))
        } else {
            Err(NameError::Character)
        }
    }
}

impl FromStr for HostName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.parse::<DomainName>()?.try_into()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    /// Covers: Y-004
    #[test]
    fn the_name_of_the_specification_has_18_octets() {
        let wire = b"\x04dots\x07example\x03com\x00";
        assert_eq!(wire.len(), 18);
        let (read, rest) = DomainName::read(wire).unwrap();
        assert_eq!((read, rest), (name("dots.example.com"), &b""[..]));
    }

    #[test]
    fn what_is_no_name_on_the_wire_is_refused() {
        let cases: [(&[u8], NameError); 6] = [
            (b"", NameError::Truncated),
            (b"\x00", NameError::Empty),
            (b"\x04dot", NameError::Truncated),
            (b"\x04dots", NameError::Truncated),
            (b"\x04dots\xc0\x0c", NameError::Label),
            (&[0x3f; 300], NameError::TooLong),
        ];
        for (wire, error) in cases {
            assert_eq!(DomainName::read(wire), Err(error), "{wire:?}");
        }
    }

    #[test]
    fn a_name_is_within_a_domain_by_whole_labels() {
        assert!(name("a.Example.net.").is_within(&name("example.NET")));
        assert!(name("example.net").is_within(&name("example.net")));
        assert!(!name("badexample.net").is_within(&name("example.net")));
        assert!(!name("net").is_within(&name("example.net")));
    }

    #[test]
    fn only_host_names_can_be_in_a_certificate() {
        assert!("dots-1.example.net".parse::<HostName>().is_ok());
        for refused in ["_dots-signal._udp.example.net", "-a.example", "a-.example"] {
            let refused = refused.parse::<HostName>();
            assert_eq!(refused, Err(NameError::Character));
        }
    }

    proptest! {
        #[test]
        fn names_survive_the_wire(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 1..4)) {
            let name = DomainName::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
            let mut wire = Vec::new();
            name.write(&mut wire);
            wire.push(7);
            prop_assert_eq!(DomainName::read(&wire), Ok((name, &[7][..])));
        }

        #[test]
        fn any_octets_are_a_name_or_an_error(wire in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok((name, _)) = DomainName::read(&wire) {
                let _shown = name.to_string();
                prop_assert!(name.is_within(&name));
            }
        }
    }
}
