use crate::code::Code;
use crate::option_number::OptionNumber;
use crate::options::Options;

/// What ties the requests of one block-wise transfer together: the method and all options but those
/// that differ from block to block (RFC 7959 §2.4, RFC 9175 §3.4).
///
/// It is a digest. Whoever makes two of them collide mixes up nothing but transfers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResourceKey(u64);

/// Observe and ETag come with the first block or with the later ones only, Content-Format only with
/// a payload, and each copy may have travelled further.
const NOT_OF_THE_KEY: &[OptionNumber] = &[
    OptionNumber::ETAG,
    OptionNumber::OBSERVE,
    OptionNumber::CONTENT_FORMAT,
    OptionNumber::HOP_LIMIT,
    OptionNumber::BLOCK2,
    OptionNumber::BLOCK1,
];

impl ResourceKey {
    pub(crate) fn of(method: Code, options: &Options) -> Self {
        let mut digest = Digest::default();
        digest.add(&[method.to_byte()]);
        for (number, value) in options.iter() {
            if !NOT_OF_THE_KEY.contains(&number) && !number.is_no_cache_key() {
                digest.add(&number.0.to_be_bytes());
                digest.add(&value.len().to_be_bytes());
                digest.add(value);
            }
        }
        Self(digest.0)
    }
}

/// An entity tag for a body (RFC 7252 §5.10.6). Equal bodies have equal tags.
pub(crate) fn entity_tag(body: &[u8]) -> [u8; 8] {
    let mut digest = Digest::default();
    digest.add(body);
    digest.0.to_be_bytes()
}

/// FNV-1a with 64 bits.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published test vectors of FNV-1a.
    #[test]
    fn the_digest_is_fnv_1a() {
        assert_eq!(entity_tag(b""), 0xcbf2_9ce4_8422_2325_u64.to_be_bytes());
        assert_eq!(entity_tag(b"a"), 0xaf63_dc4c_8601_ec8c_u64.to_be_bytes());
        assert_eq!(
            entity_tag(b"foobar"),
            0x8594_4171_f739_67e8_u64.to_be_bytes()
        );
    }

    #[test]
    fn blocks_of_one_transfer_share_a_key_and_other_resources_have_another() {
        let key = |extra: &[(OptionNumber, &[u8])]| {
            let mut options = Options::new();
            options.push(OptionNumber::URI_PATH, b"mitigate");
            for (number, value) in extra {
                options.push(*number, value);
            }
            ResourceKey::of(Code::GET, &options)
        };
        let first = key(&[(OptionNumber::OBSERVE, b""), (OptionNumber::SIZE2, b"")]);
        let later = key(&[(OptionNumber::BLOCK2, b"\x16"), (OptionNumber::ETAG, b"e")]);
        assert_eq!(first, later);
        assert_ne!(first, key(&[(OptionNumber::URI_QUERY, b"c=a")]));
        assert_ne!(first, key(&[(OptionNumber::REQUEST_TAG, b"1")]));
        let none = Options::new();
        assert_ne!(
            ResourceKey::of(Code::GET, &none),
            ResourceKey::of(Code::PUT, &none)
        );
    }
}
