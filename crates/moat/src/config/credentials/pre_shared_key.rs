//! `psk_identity` and `psk_key_file`: a key that both ends have, in a file of its own (RFC 9132 §8, RFC 4279).

use std::path::{Path, PathBuf};

use dtls::{PskIdentity, PskKey};

use super::{read_bounded, refuse_open_to_others};
use crate::config::problem::{KeyProblem, ProblemKind};
use crate::config::reader::{Diagnostics, Place, Table};
use crate::config::value;

/// The keys of a table that this reads.
const KEYS: [&str; 2] = ["psk_identity", "psk_key_file"];

/// Longest key file that is read, in bytes: 256 octets in hexadecimal, with room for white space.
const MAX_KEY_BYTES: u64 = 1024;

/// A pre-shared key and its name. `Debug` leaves the key out.
#[derive(Debug, Clone)]
pub(crate) struct PreSharedKey {
    /// What the client calls the key in its handshake.
    pub(crate) identity: PskIdentity,
    /// The key.
    pub(crate) key: PskKey,
    /// The file it was read from.
    pub(crate) file: PathBuf,
}

/// A pre-shared key, and where the file says so.
#[derive(Debug, Clone)]
pub(in crate::config) struct Written {
    pub(in crate::config) key: PreSharedKey,
    pub(in crate::config) identity_place: Place,
    pub(in crate::config) file_place: Place,
}

/// Reads both keys of a table, and the file; `None` inside when neither is there.
pub(in crate::config) fn read(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<Written>> {
    if !KEYS.iter().any(|key| table.has(key)) {
        table.know(&KEYS);
        return Some(None);
    }
    let identity = table
        .require("psk_identity", "\"home.example.net\"", diagnostics)
        .and_then(|value| {
            value.parse(
                "a name in quotes, like \"home.example.net\"",
                diagnostics,
                identity,
            )
        });
    let key = table
        .require("psk_key_file", "\"home.psk\"", diagnostics)
        .and_then(|value| {
            value.parse("the name of a file, in quotes", diagnostics, |text| {
                let file = value::path(folder, text)?;
                Ok((key(&file)?, file))
            })
        });
    let (identity, key) = (identity?, key?);
    let (secret, file) = key.value;
    Some(Some(Written {
        key: PreSharedKey {
            identity: identity.value,
            key: secret,
            file,
        },
        identity_place: identity.place,
        file_place: key.place,
    }))
}

fn identity(text: &str) -> Result<PskIdentity, ProblemKind> {
    PskIdentity::new(text).map_err(|_| ProblemKind::NotAPskIdentity {
        text: text.to_owned(),
    })
}

/// The key in a file: hexadecimal, or else base64.
fn key(file: &Path) -> Result<PskKey, ProblemKind> {
    let no_key = |why| ProblemKind::NoPreSharedKey {
        file: file.to_owned(),
        why,
    };
    let (content, mode) = read_bounded(file, MAX_KEY_BYTES, "a file with a pre-shared key")?;
    refuse_open_to_others(file, mode)?;
    let text = str::from_utf8(&content).map_err(|_| no_key(KeyProblem::NotText))?;
    if text.contains("-----BEGIN ") {
        return Err(no_key(KeyProblem::Pem));
    }
    let text: String = text.split_ascii_whitespace().collect();
    let octets = from_hexadecimal(&text)
        .or_else(|| openssl::base64::decode_block(&text).ok())
        .ok_or_else(|| no_key(KeyProblem::NotText))?;
    PskKey::new(&octets).map_err(|_| {
        no_key(KeyProblem::Length {
            octets: octets.len(),
        })
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect()
}
