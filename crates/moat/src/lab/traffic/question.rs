//! What a packet asks a name server.

/// Port of name servers.
const DNS_PORT: u16 = 53;

const UDP: u8 = 17;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const DNS_HEADER: usize = 12;

/// The name, in small letters, that an IP packet asks for by UDP; `None` for every other packet.
pub(super) fn name(packet: &[u8]) -> Option<String> {
    let (protocol, length) = match packet.first()? >> 4 {
        4 => (*packet.get(9)?, usize::from(packet.first()? & 15) * 4),
        6 => (*packet.get(6)?, IPV6_HEADER),
        _ => return None,
    };
    let (header, payload) = packet.get(length..)?.split_at_checked(UDP_HEADER)?;
    if protocol != UDP || header.get(2..4)? != DNS_PORT.to_be_bytes() {
        return None;
    }
    let mut rest = payload.get(DNS_HEADER..)?;
    let mut labels = Vec::new();
    loop {
        let (&length, after) = rest.split_first()?;
        let (label, after) = after.split_at_checked(length.into())?;
        if label.is_empty() {
            return Some(labels.join("."));
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question(ip: &[u8], port: u8) -> Vec<u8> {
        let udp = [0x30, 0, 0, port, 0, 0, 0, 0];
        let dns = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x04Dots\x01a\x07example\0\0\x1c\0\x01";
        [ip, &udp, dns].concat()
    }

    #[test]
    fn the_name_of_a_question_is_found_in_both_families() {
        let mut v4 = [0; 20];
        (v4[0], v4[9]) = (0x45, UDP);
        let mut v6 = [0; IPV6_HEADER];
        (v6[0], v6[6]) = (0x60, UDP);
        for ip in [&v4[..], &v6] {
            let packet = question(ip, 53);
            assert_eq!(name(&packet), Some("dots.a.example".to_owned()));
            assert_eq!(name(&question(ip, 54)), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_packets_are_read_to_their_end_at_most(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = name(&packet);
        }
    }
}
