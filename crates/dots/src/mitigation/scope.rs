//! The frame that every mitigation message has: a list of scopes in a container (RFC 9132 §4.4.1.1).

use crate::cbor::{Entry, MapWriter, Reader, read_message};
use crate::error::DecodeError;
use crate::key::Key;

/// `{mitigation-scope: {scope: [{...}, ...]}}`
pub(super) fn encode<T>(scopes: &[T], write: impl Fn(&T, &mut MapWriter)) -> Vec<u8> {
    let mut container = MapWriter::new();
    container.maps(Key::SCOPE, scopes, write);
    enclose(container)
}

/// The same of at most `limit` bytes. What follows the first scope that does not fit is not looked at.
pub(super) fn encode_up_to<T>(
    limit: usize,
    scopes: impl IntoIterator<Item = T>,
    write: impl Fn(&T, &mut MapWriter),
) -> Option<Vec<u8>> {
    let mut maps = Vec::new();
    let mut size = 0;
    for scope in scopes {
        let mut map = MapWriter::new();
        write(&scope, &mut map);
        let map = map.finish();
        size += map.len();
        if size > limit {
            return None;
        }
        maps.push(map);
    }
    let mut container = MapWriter::new();
    container.finished_maps(Key::SCOPE, &maps);
    Some(enclose(container)).filter(|message| message.len() <= limit)
}

fn enclose(container: MapWriter) -> Vec<u8> {
    let mut message = MapWriter::new();
    message.map(Key::MITIGATION_SCOPE, container);
    message.finish()
}

/// Reads at least one and at most `limit` scopes.
pub(super) fn decode<T>(
    bytes: &[u8],
    limit: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    read_message(bytes, Key::MITIGATION_SCOPE, |reader| {
        let mut scopes = None;
        reader.map(|reader, key| {
            if key != Key::SCOPE {
                return Ok(Entry::Unknown);
            }
            scopes = Some(reader.list(limit, &read)?);
            Ok(Entry::Taken)
        })?;
        scopes.ok_or_else(|| reader.missing(Key::SCOPE))
    })
}

/// Reads the only scope of a message.
pub(super) fn decode_one<T>(
    bytes: &[u8],
    read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let scope = decode(bytes, 1, read)?.pop();
    scope.ok_or_else(|| DecodeError::Missing {
        at: crate::Location::default(),
        key: Key::SCOPE,
    })
}
