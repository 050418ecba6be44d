//! IP and UDP headers around a DHCP message, for a socket beside the system's DHCP client: it holds the client's port,
//! and what is received must stay its to read.

use std::net::{Ipv4Addr, Ipv6Addr};

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
const HOP_LIMIT: u8 = 64;

/// A message as a UDP datagram over IPv6; `None` if it is longer than a datagram can be.
pub fn wrap_v6(
    (source, from): (Ipv6Addr, u16),
    (destination, to): (Ipv6Addr, u16),
    message: &[u8],
) -> Option<Vec<u8>> {
    let length = u16::try_from(UDP_HEADER + message.len()).ok()?;
    let mut pseudo = source.octets().to_vec();
    pseudo.extend(destination.octets());
    pseudo.extend(u32::from(length).to_be_bytes());
    pseudo.extend([0, 0, 0, UDP]);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([UDP, HOP_LIMIT]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(datagram(from, to, length, &pseudo, message));
    Some(packet)
}

/// The same over IPv4.
pub fn wrap_v4(
    (source, from): (Ipv4Addr, u16),
    (destination, to): (Ipv4Addr, u16),
    message: &[u8],
) -> Option<Vec<u8>> {
    let length = u16::try_from(UDP_HEADER + message.len()).ok()?;
    let total = u16::try_from(IPV4_HEADER).ok()?.checked_add(length)?;
    let mut pseudo = source.octets().to_vec();
    pseudo.extend(destination.octets());
    pseudo.extend([0, UDP]);
    pseudo.extend(length.to_be_bytes());
    let mut header = vec![0x45, 0];
    header.extend(total.to_be_bytes());
    header.extend([0, 0, 0, 0, HOP_LIMIT, UDP, 0, 0]);
    header.extend(source.octets());
    header.extend(destination.octets());
    let checksum = checksum([header.as_slice()]).to_be_bytes();
    header
        .iter_mut()
        .skip(10)
        .zip(checksum)
        .for_each(|(octet, sum)| *octet = sum);
    header.extend(datagram(from, to, length, &pseudo, message));
    Some(header)
}

fn datagram(from: u16, to: u16, length: u16, pseudo: &[u8], message: &[u8]) -> Vec<u8> {
    let ports = [from, to, length].map(u16::to_be_bytes).concat();
    let sum = match checksum([pseudo, &ports, message]) {
        // Zero would say that there is no checksum (RFC 768, RFC 8200 §8.1).
        0 => u16::MAX,
        sum => sum,
    };
    let mut datagram = ports;
    datagram.extend(sum.to_be_bytes());
    datagram.extend(message);
    datagram
}

/// RFC 1071; each part but the last has an even length.
fn checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u16 {
    let mut sum: u32 = 0;
    for part in parts {
        let (words, odd) = part.as_chunks::<2>();
        let words = words.iter().map(|word| u16::from_be_bytes(*word));
        let last = odd.iter().map(|octet| u16::from_be_bytes([*octet, 0]));
        for word in words.chain(last) {
            sum += u32::from(word);
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The UDP payload of a whole IP packet of either family, if it is for port `to`. Fragments and extension headers are not
/// for us. Checksums are not looked at: a packet from the same machine has none yet, and a message is told by its
/// transaction.
pub fn unwrap(packet: &[u8], to: u16) -> Option<&[u8]> {
    let (&first, _) = packet.split_first()?;
    let datagram = match first >> 4 {
        4 => {
            let header = packet.first_chunk::<IPV4_HEADER>()?;
            let [_, _, high, low, _, _, fragment, offset, _, protocol, ..] = *header;
            let whole = u16::from_be_bytes([fragment, offset]) & 0x3fff == 0;
            let total = usize::from(u16::from_be_bytes([high, low]));
            let length = usize::from(first & 0x0f) * 4;
            let packet = packet.get(..total)?;
            (whole && protocol == UDP && length >= IPV4_HEADER).then(|| packet.get(length..))?
        }
        6 => {
            let (header, rest) = packet.split_first_chunk::<40>()?;
            let [_, _, _, _, high, low, next, ..] = *header;
            let length = usize::from(u16::from_be_bytes([high, low]));
            (next == UDP).then(|| rest.get(..length))?
        }
        _ => None,
    }?;
    let (&[_, _, high, low, length_high, length_low, _, _], _) = datagram.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    match u16::from_be_bytes([high, low]) == to {
        true => datagram.get(UDP_HEADER..length),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn checksums_are_those_that_receivers_compute() {
        let source = (Ipv4Addr::new(192, 0, 2, 1), 68);
        let packet = wrap_v4(source, (Ipv4Addr::BROADCAST, 67), b"odd").unwrap();
        assert_eq!(checksum([&packet[..20]]), 0);
        let pseudo = [&packet[12..20], &[0, UDP, 0, 11], &packet[20..]];
        assert_eq!(checksum(pseudo), 0);

        let source = ("fe80::1".parse().unwrap(), 546);
        let packet = wrap_v6(source, ("ff02::1:2".parse().unwrap(), 547), b"odd").unwrap();
        let pseudo = [&packet[8..40], &[0, 0, 0, 11, 0, 0, 0, UDP], &packet[40..]];
        assert_eq!(checksum(pseudo), 0);
    }

    proptest! {
        #[test]
        fn what_is_wrapped_is_unwrapped_on_its_port_alone(
            message in prop::collection::vec(any::<u8>(), 0..600), trailer in 0usize..30,
        ) {
            let v4 = (Ipv4Addr::new(192, 0, 2, 1), 67);
            let v6 = (Ipv6Addr::LOCALHOST, 547);
            let packets = [
                (wrap_v4(v4, (Ipv4Addr::BROADCAST, 68), &message), 68),
                (wrap_v6(v6, (Ipv6Addr::LOCALHOST, 546), &message), 546),
            ];
            for (packet, port) in packets {
                let mut packet = packet.unwrap();
                // Ethernet fills short frames up.
                packet.resize(packet.len() + trailer, 0);
                prop_assert_eq!(unwrap(&packet, port), Some(message.as_slice()));
                prop_assert_eq!(unwrap(&packet, 69), None);
            }
        }

        #[test]
        fn any_packet_is_taken_or_not(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let _taken = unwrap(&packet, 68);
        }
    }
}
