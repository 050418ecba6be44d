//! The record layer as far as OpenSSL has to be protected from it (RFC 6347 §4.1).
//!
//! A record too short to hold a nonce and a tag cannot be authentic. RFC 6347 §4.1.2.7 has invalid records discarded,
//! but OpenSSL (3.6 at least) ends the session over such a one, so that a single forged datagram of 14 octets from the
//! peer's address would be enough. Such records, and what follows them, are cut off before OpenSSL sees them.

use openssl::nid::Nid;
use openssl::ssl::SslCipherRef;

/// content type (1), version (2), epoch (2), sequence number (6), length (2).
pub(crate) const HEADER: usize = 13;
/// What protection adds to a record at most: the explicit nonce (8) and the tag (16) of AES-GCM (RFC 5288 §3).
pub(crate) const AEAD_EXPANSION: usize = 24;
/// What it adds at least: the tag (16) of ChaCha20-Poly1305 (RFC 7905 §2).
const LEAST_EXPANSION: usize = 16;

/// The whole records at the start of `datagram` that may be authentic with the cipher agreed on, or with any if none is
/// known yet.
pub(crate) fn plausible<'a>(datagram: &'a [u8], cipher: Option<&SslCipherRef>) -> &'a [u8] {
    let shortest = match cipher.and_then(SslCipherRef::cipher_nid) {
        Some(Nid::AES_128_GCM | Nid::AES_256_GCM) => AEAD_EXPANSION,
        _ => LEAST_EXPANSION,
    };
    records(datagram, shortest)
}

fn records(datagram: &[u8], shortest: usize) -> &[u8] {
    let mut rest = datagram;
    while let Some(after) = skip_record(rest, shortest) {
        rest = after;
    }
    datagram.strip_suffix(rest).unwrap_or_default()
}

fn skip_record(records: &[u8], shortest: usize) -> Option<&[u8]> {
    let (header, rest) = records.split_first_chunk::<HEADER>()?;
    let [
        _,
        _,
        _,
        epoch_high,
        epoch_low,
        _,
        _,
        _,
        _,
        _,
        _,
        length_high,
        length_low,
    ] = *header;
    let protected = (epoch_high, epoch_low) != (0, 0);
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    if protected && length < shortest {
        return None;
    }
    rest.get(length..)
}

/// Raises the sequence numbers of the unprotected records (epoch 0) of `datagram` by `by`. Nothing is computed over
/// them.
pub(crate) fn raise_unprotected(datagram: &mut [u8], by: u64) {
    let mut rest = datagram;
    while let Some((header, records)) = rest.split_first_chunk_mut::<HEADER>() {
        let [_, _, _, 0, 0, sequence @ .., length_high, length_low] = header else {
            return;
        };
        let mut wide = [0; 8];
        if let Some(low) = wide.get_mut(2..) {
            low.copy_from_slice(sequence);
        }
        let raised = u64::from_be_bytes(wide).saturating_add(by).to_be_bytes();
        if let Some(low) = raised.get(2..) {
            sequence.copy_from_slice(low);
        }
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let Some(after) = records.get_mut(length..) else {
            return;
        };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u8, length: u8) -> Vec<u8> {
        let mut record = vec![22, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0, length];
        record.resize(HEADER + usize::from(length), 0xee);
        record
    }

    #[test]
    fn whole_records_pass_and_the_rest_is_cut() {
        for expansion in [AEAD_EXPANSION, LEAST_EXPANSION] {
            check(expansion);
        }
    }

    fn check(expansion: usize) {
        let length = u8::try_from(expansion).unwrap();
        let handshake = record(0, 1);
        let shortest = record(1, length);
        let forged = record(1, length - 1);
        let partial = &shortest[..shortest.len() - 1];
        for (parts, passing) in [
            (vec![], 0),
            (vec![&handshake[..]], 1),
            (vec![&handshake, &shortest, &shortest], 3),
            (vec![&forged], 0),
            (vec![&shortest, &forged, &shortest], 1),
            (vec![&handshake, partial], 1),
            (vec![&handshake[..HEADER - 1]], 0),
        ] {
            assert_eq!(
                records(&parts.concat(), expansion),
                parts[..passing].concat()
            );
        }
    }
}
