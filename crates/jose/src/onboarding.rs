//! A signed object as a text that is as short as it can be for a QR code, by which a device gets to know its network.
//!
//! ```text
//! PVD1: base45( length of the header (2 octets) | header | length of the payload (2 octets) | payload | signature )
//! ```
//! The 45 characters are those for which a QR code takes 5.5 bits (RFC 9285). The parts of a compact JWS are put there as the octets that they stand
//! for, and come back as the same text: there is one base64url of octets, and no other is read. So nothing has to be verified anew.

use crate::compact::{MAX_SIGNED_BYTES, decode as decode_part, encode as encode_part, split};
use crate::verify::Forged;

/// How the text begins.
pub const PREFIX: &str = "PVD1:";

/// The most characters that a QR code has room for: version 40 with error correction of level L.
pub const MAX_QR_CHARACTERS: usize = 4296;

const ALPHABET: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// Why there is no such text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotShort {
    /// No compact JWS.
    #[error(transparent)]
    Object(#[from] Forged),
    /// A part of it is too long for its length, and so is all of it.
    #[error("a part of it has more than {} octets", u16::MAX)]
    Part,
    /// A QR code has no room for it.
    #[error(
        "it has {0} characters, {over} more than a QR code has room for; leave out what the device need not know, or sign it with a key that the device has (--key-id) and no certificates",
        over = .0.saturating_sub(MAX_QR_CHARACTERS)
    )]
    TooLarge(usize),
}

/// A text that is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it begins with {PREFIX}, and the rest is no signed object in base45")]
pub struct NotOnboarding;

/// The text of a compact JWS.
///
/// # Errors
/// [`NotShort`]
pub fn to_text(compact: &str) -> Result<String, NotShort> {
    if compact.len() > MAX_SIGNED_BYTES {
        return Err(Forged::TooLarge(compact.len()).into());
    }
    let [header, payload, signature] = split(compact).map_err(Forged::NotCompact)?;
    let part = |part| decode_part(part).map_err(Forged::NotCompact);
    let mut octets = Vec::new();
    for part in [part(header)?, part(payload)?] {
        let length = u16::try_from(part.len()).map_err(|_| NotShort::Part)?;
        octets.extend(length.to_be_bytes());
        octets.extend(part);
    }
    octets.extend(part(signature)?);
    let text = format!("{PREFIX}{}", base45(&octets));
    match text.len() > MAX_QR_CHARACTERS {
        true => Err(NotShort::TooLarge(text.len())),
        false => Ok(text),
    }
}

/// The compact JWS of a text that begins with [`PREFIX`]; `None` for others, which may be one themselves.
///
/// # Errors
/// [`NotOnboarding`]
pub fn from_text(text: &str) -> Result<Option<String>, NotOnboarding> {
    let Some(encoded) = text.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    if text.len() > MAX_QR_CHARACTERS {
        return Err(NotOnboarding);
    }
    let octets = octets(encoded).ok_or(NotOnboarding)?;
    let (header, rest) = part(&octets).ok_or(NotOnboarding)?;
    let (payload, signature) = part(rest).ok_or(NotOnboarding)?;
    let parts = [header, payload, signature].map(encode_part);
    Ok(Some(parts.join(".")))
}

/// What has its length before it, and what follows.
fn part(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// Two octets as three characters, a last one as two, the lowest digit first (RFC 9285 §4).
fn base45(octets: &[u8]) -> String {
    let characters = octets.chunks(2).flat_map(|pair| {
        let value = pair
            .iter()
            .fold(0, |value, octet| value * 256 + usize::from(*octet));
        let digits = [value % 45, value / 45 % 45, value / 45 / 45];
        digits.into_iter().take(pair.len() + 1)
    });
    let characters = characters.filter_map(|digit| ALPHABET.get(digit));
    characters.map(|character| char::from(*character)).collect()
}

fn octets(text: &str) -> Option<Vec<u8>> {
    let digit = |character: &u8| ALPHABET.iter().position(|known| known == character);
    let mut octets = Vec::with_capacity(text.len());
    for characters in text.as_bytes().chunks(3) {
        let digits: Vec<usize> = characters.iter().map(digit).collect::<Option<_>>()?;
        let value = digits
            .iter()
            .rev()
            .fold(0, |value, digit| value * 45 + digit);
        match digits.len() {
            3 => octets.extend(u16::try_from(value).ok()?.to_be_bytes()),
            2 => octets.push(u8::try_from(value).ok()?),
            _ => return None,
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 9285 §4.3, §4.4
    #[test]
    fn the_examples_of_the_specification_are_read_and_written() {
        for (text, encoded) in [
            ("AB", "BB8"),
            ("Hello!!", "%69 VD92EX0"),
            ("base-45", "UJCLQE7W581"),
            ("ietf!", "QED8WEX0"),
        ] {
            assert_eq!(base45(text.as_bytes()), encoded);
            assert_eq!(octets(encoded).unwrap(), text.as_bytes());
        }
        for wrong in [":::", "GGW", "::", "A", "ab", "AAAA"] {
            assert_eq!(octets(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_has_no_room_is_told_by_how_much() {
        let compact = format!("e30.{}.AA", encode_part(vec![b'x'; 2900]));
        let told = to_text(&compact).unwrap_err();
        assert_eq!(told, NotShort::TooLarge(4366));
        let told = told.to_string();
        assert!(
            told.starts_with("it has 4366 characters, 70 more than"),
            "{told}"
        );
        assert!(to_text("e30.e30").is_err());
        assert!(to_text("e30.e3.AA").is_err());
        assert_eq!(from_text("e30.e30.AA"), Ok(None));
        assert_eq!(from_text("PVD1:"), Err(NotOnboarding));
        assert_eq!(
            from_text(&format!("PVD1:{}", base45(&[0, 2, 0]))),
            Err(NotOnboarding)
        );
    }

    proptest! {
        #[test]
        fn the_same_object_comes_back(header: Vec<u8>, payload: Vec<u8>, signature: Vec<u8>) {
            let compact = [header, payload, signature].map(encode_part).join(".");
            let text = to_text(&compact).unwrap();
            prop_assert_eq!(from_text(&text), Ok(Some(compact)));
            let rest = text.strip_prefix(PREFIX).unwrap();
            prop_assert!(rest.bytes().all(|it| ALPHABET.contains(&it)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "PVD1:[0-9A-Z $%*+./:-]{0,40}") {
            if let Ok(Some(compact)) = from_text(&text) {
                prop_assert_eq!(to_text(&compact), Ok(text));
            }
        }
    }
}
