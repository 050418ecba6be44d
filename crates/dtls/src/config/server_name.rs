//! The name that a client knows its server by (RFC 6125 §6.2).

use std::net::IpAddr;

use crate::ConfigError;

/// The longest host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

pub(super) struct ServerName {
    pub(super) text: String,
    pub(super) address: Option<IpAddr>,
}

impl ServerName {
    pub(super) fn parse(given: &str) -> Result<Self, ConfigError> {
        if let Ok(address) = given.parse::<IpAddr>() {
            return Ok(Self {
                text: address.to_string(),
                address: Some(address),
            });
        }
        let name = given.strip_suffix('.').unwrap_or(given);
        let fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
        };
        if name.len() <= MAX_NAME && name.split('.').all(fits) {
            Ok(Self {
                text: name.to_ascii_lowercase(),
                address: None,
            })
        } else {
            Err(ConfigError::ServerName {
                name: given.to_owned(),
            })
        }
    }
}
