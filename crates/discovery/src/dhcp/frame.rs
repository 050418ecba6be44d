//! IP and UDP headers around a DHCP message, for a socket beside the system's DHCP client: it holds the client's port,
//! and what is received must stay its to read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{v4, v6};

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

/// The UDP payload of a whole IP packet of either family, if it is an answer that a client at `own` can get.
///
/// A packet socket sees what arrives for any address, also for one that is behind this node, and before any packet filter. So
/// nothing counts but what comes to the address that was asked from: over IPv6 that is link-local, and no router passes on what
/// goes to one (RFC 4291 §2.5.6). Over IPv4 servers of other links may answer, from their port.
///
/// Fragments and extension headers are not for us. Checksums are not looked at: a packet from the same machine has none yet,
/// and a message is told by its transaction.
pub fn unwrap(packet: &[u8], own: IpAddr) -> Option<&[u8]> {
    let (&first, _) = packet.split_first()?;
    let (destination, datagram) = match first >> 4 {
        4 => {
            let header = packet.first_chunk::<IPV4_HEADER>()?;
            let [_, _, high, low, _, _, fragment, offset, _, protocol, ..] = *header;
            let (_, destination) = header.split_last_chunk::<4>()?;
            let whole = u16::from_be_bytes([fragment, offset]) & 0x3fff == 0;
            let total = usize::from(u16::from_be_bytes([high, low]));
            let length = usize::from(first & 0x0f) * 4;
            let packet = packet.get(..total)?;
            let is_udp = whole && protocol == UDP && length >= IPV4_HEADER;
            let datagram = is_udp.then(|| packet.get(length..))??;
            (IpAddr::from(*destination), datagram)
        }
        6 => {
            let (header, rest) = packet.split_first_chunk::<40>()?;
            let [_, _, _, _, high, low, next, ..] = *header;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (_, destination) = header.split_last_chunk::<16>()?;
            let datagram = (next == UDP).then(|| rest.get(..length))??;
            (IpAddr::from(*destination), datagram)
        }
        _ => return None,
    };
    let (header, _) = datagram.split_first_chunk()?;
    let [from_high, from_low, high, low, length_high, length_low, ..]: [u8; UDP_HEADER] = *header;
    let from = u16::from_be_bytes([from_high, from_low]);
    let to = u16::from_be_bytes([high, low]);
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let is_answer = match own {
        IpAddr::V6(_) => to == v6::CLIENT_PORT && destination == own,
        IpAddr::V4(_) => {
            let is_ours = destination == own || destination == IpAddr::V4(Ipv4Addr::BROADCAST);
            from == v4::SERVER_PORT && to == v4::CLIENT_PORT && is_ours
        }
    };
    is_answer.then(|| datagram.get(UDP_HEADER..length))?
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
        fn what_is_wrapped_is_unwrapped_by_whom_it_is_for(
            message in prop::collection::vec(any::<u8>(), 0..600), trailer in 0usize..30,
        ) {
            let [server, own, behind] = [1, 7, 8].map(|last| Ipv4Addr::new(192, 0, 2, last));
            let v4 = |from, to| wrap_v4((server, from), to, &message).unwrap();
            let [server, own_v6, global] = ["fe80::1", "fe80::7", "2001:db8::7"].map(|text| text.parse().unwrap());
            let v6 = |to| wrap_v6((server, 547), to, &message).unwrap();
            for (packet, own, is_taken) in [
                (v4(67, (own, 68)), IpAddr::V4(own), true),
                (v4(67, (Ipv4Addr::BROADCAST, 68)), IpAddr::V4(own), true),
                (v4(67, (behind, 68)), IpAddr::V4(own), false),
                (v4(53, (own, 68)), IpAddr::V4(own), false),
                (v4(67, (own, 69)), IpAddr::V4(own), false),
                (v6((own_v6, 546)), IpAddr::V6(own_v6), true),
                (v6((own_v6, 547)), IpAddr::V6(own_v6), false),
                // From anywhere in the world.
                (v6((global, 546)), IpAddr::V6(own_v6), false),
            ] {
                let mut packet = packet;
                // Ethernet fills short frames up.
                packet.resize(packet.len() + trailer, 0);
                let expected = is_taken.then_some(message.as_slice());
                prop_assert_eq!(unwrap(&packet, own), expected, "{:?}", packet);
            }
        }

        #[test]
        fn any_packet_is_taken_or_not(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let _taken = unwrap(&packet, Ipv4Addr::LOCALHOST.into());
            let _taken = unwrap(&packet, Ipv6Addr::LOCALHOST.into());
        }
    }
}
