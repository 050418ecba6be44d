//! Pieces of the sentences about a configuration file.

use std::fmt;
use std::io;
use std::net::IpAddr;

/// Longest piece of a file that a message quotes, in characters.
const QUOTE_LIMIT: usize = 64;

/// A prefix of the family that somebody tried to write.
pub(super) fn example_prefix(text: &str) -> &'static str {
    if text.contains(':') {
        "2001:db8:f:100::/56"
    } else {
        "203.0.113.0/28"
    }
}

/// The length of a prefix that is one address, in bits.
pub(super) fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// What to do about a file that cannot be read.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "check the name; a relative one is looked up from the configuration's folder"
        }
        io::ErrorKind::PermissionDenied => "let the user that runs moat read it",
        _ => "name a file that can be read",
    }
}

/// A piece of the file in quotes: escaped and not too long.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTE_LIMIT) {
            Some((end, _)) => write!(f, "{:?}...", self.0.get(..end).unwrap_or_default()),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// Entries with commas between them.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{item}")?;
        }
        Ok(())
    }
}

/// The keys that there are, or the one that was probably meant.
pub(super) struct KeyHint<'a>(
    pub(super) &'a [&'static str],
    pub(super) &'a Option<&'static str>,
);

impl fmt::Display for KeyHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(nearest) => write!(f, "did you mean {nearest}?"),
            None => write!(f, "its keys are {}", List(self.0)),
        }
    }
}
