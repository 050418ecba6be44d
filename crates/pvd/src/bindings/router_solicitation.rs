//! Router Solicitations (RFC 4861 §4.1).

use std::net::Ipv6Addr;

use super::router_advertisement::{Malformed, options};

/// The type of the ICMPv6 message.
pub const MESSAGE_TYPE: u8 = 133;

/// Octets before the options.
const HEADER: usize = 8;
/// The Source Link-Layer Address option (RFC 4861 §4.6.1).
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;

/// A host asks all routers of the link to advertise now. Where its link-layer address is, the kernel has read already, so
/// nothing of its options is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterSolicitation;

impl RouterSolicitation {
    /// Reads an ICMPv6 message, from its type on, that `source` has sent (RFC 4861 §6.1.1). Whether it came with hop limit
    /// 255, the receiver knows; the checksum is the kernel's.
    ///
    /// # Errors
    /// [`Malformed::Message`], [`Malformed::Length`], and [`Malformed::Value`] where `::` says what its link-layer
    /// address is: the message is to be discarded.
    pub fn decode(message: &[u8], source: Ipv6Addr) -> Result<Self, Malformed> {
        let (header, rest) = message.split_at_checked(HEADER).ok_or(Malformed::Message)?;
        if !header.starts_with(&[MESSAGE_TYPE, 0]) {
            return Err(Malformed::Message);
        }
        for option in options(rest) {
            let (kind, _) = option?;
            if kind == SOURCE_LINK_LAYER_ADDRESS && source.is_unspecified() {
                return Err(Malformed::Value);
            }
        }
        Ok(Self)
    }

    /// The ICMPv6 message without options and with checksum 0, which the kernel fills in.
    pub fn encode(self) -> [u8; HEADER] {
        [MESSAGE_TYPE, 0, 0, 0, 0, 0, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_may_not_send_is_no_solicitation() {
        let host: Ipv6Addr = "fe80::7".parse().unwrap();
        let plain = RouterSolicitation.encode();
        assert_eq!(
            RouterSolicitation::decode(&plain, host),
            Ok(RouterSolicitation)
        );
        let nobody = Ipv6Addr::UNSPECIFIED;
        assert!(RouterSolicitation::decode(&plain, nobody).is_ok());
        let from = [&plain[..], &[1, 1, 2, 0, 0, 0, 0, 1]].concat();
        assert!(RouterSolicitation::decode(&from, host).is_ok());
        let cases = [
            (from, nobody, Malformed::Value),
            (plain[..7].to_vec(), host, Malformed::Message),
            ([&[134], &plain[1..]].concat(), host, Malformed::Message),
            ([&[133, 1], &plain[2..]].concat(), host, Malformed::Message),
            ([&plain[..], &[1, 0]].concat(), host, Malformed::Length),
            ([&plain[..], &[1, 2, 3]].concat(), host, Malformed::Length),
        ];
        for (message, source, error) in cases {
            let read = RouterSolicitation::decode(&message, source);
            assert_eq!(read, Err(error), "{message:?}");
        }
    }
}
