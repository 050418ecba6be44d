//! Everything that comes over a link but the lab's own floods and visits: kept, to be searched for what must not be there.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::question;
use super::{Error, answer_questions, lock};

/// The most that is kept, in bytes; a run has a hundredth.
const MOST_KEPT: usize = 64 << 20;

/// Longest packet of a link.
const LONGEST_PACKET: usize = 1 << 16;

/// Room for packets that were not read yet, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Capture what comes in.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The interface
    #[arg(long)]
    interface: String,
    /// UDP port of packets that are let go
    #[arg(long)]
    port: u16,
}

/// What to search packets for: octets, in hexadecimal, by a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted(pub(crate) BTreeMap<String, String>);

/// What was found in all packets up to now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Captured {
    /// All packets.
    pub(crate) packets: u64,
    /// Those that had no place any more.
    pub(crate) lost: u64,
    /// Questions to name servers by UDP: how many packets ask for each name.
    pub(crate) questions: BTreeMap<String, u64>,
    /// In how many packets there is what was wanted; none without any.
    pub(crate) found: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Kept {
    packets: Vec<Vec<u8>>,
    bytes: usize,
    lost: u64,
}

pub(super) fn main(args: &Args) -> Result<(), Error> {
    let socket = open(&args.interface, args.port).map_err(|source| Error::Capture {
        interface: args.interface.clone(),
        source,
    })?;
    let kept = Arc::new(Mutex::new(Kept::default()));
    let shared = Arc::clone(&kept);
    std::thread::spawn(move || keep(&socket, &shared));
    answer_questions(|asked| {
        let wanted: Wanted = serde_json::from_str(asked).unwrap_or_default();
        search(&lock(&kept), &wanted)
    })
}

/// A packet socket for what others send here, from the network layer on.
fn open(interface: &str, port: u16) -> io::Result<Socket> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    let everything = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?;
    let everything = Protocol::from(i32::from(everything.to_be()));
    // What comes between this and the filter is before all agents.
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(everything))?;
    socket.attach_filter(&others_of(index, port))?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    Ok(socket)
}

fn keep(mut socket: &Socket, kept: &Mutex<Kept>) {
    let mut buffer = vec![0; LONGEST_PACKET];
    loop {
        let length = match socket.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let mut kept = lock(kept);
        match buffer.get(..length) {
            Some(packet @ [_, ..]) if kept.bytes + length <= MOST_KEPT => {
                kept.bytes += length;
                kept.packets.push(packet.to_vec());
            }
            _ => kept.lost += 1,
        }
    }
}

fn search(kept: &Kept, wanted: &Wanted) -> Captured {
    let mut captured = Captured {
        packets: kept.packets.len() as u64,
        lost: kept.lost,
        ..Captured::default()
    };
    for name in kept.packets.iter().filter_map(|one| question::name(one)) {
        *captured.questions.entry(name).or_default() += 1;
    }
    for (name, octets) in &wanted.0 {
        let octets = from_hexadecimal(octets);
        let is_in = |packet: &&Vec<u8>| {
            let mut windows = packet.windows(octets.len().max(1));
            windows.any(|window| window.eq_ignore_ascii_case(&octets))
        };
        let packets = kept.packets.iter().filter(is_in).count() as u64;
        if packets > 0 {
            captured.found.insert(name.clone(), packets);
        }
    }
    captured
}

/// Octets as [`Wanted`] writes them.
pub(crate) fn to_hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let octets = digits.as_chunks::<2>().0.iter();
    octets
        .filter_map(|[high, low]| u8::try_from(high << 4 | low).ok())
        .collect()
}

// Instructions of a classic BPF program (Linux: Documentation/networking/filter.rst).
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_AT_X: u16 = 0x48;
const LOAD_X_HEADER_LENGTH: u16 = 0xb1;
const SHIFT_RIGHT: u16 = 0x74;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Where what the kernel knows of a packet is read from.
const ANCILLARY: u32 = 0xffff_f000;
const PACKET_TYPE: u32 = ANCILLARY + 4;
const INTERFACE: u32 = ANCILLARY + 8;
const OUTGOING: u32 = 4;
const UDP: u32 = 17;

/// Takes what comes in at an interface, without UDP from or to a port.
fn others_of(index: u32, port: u16) -> Vec<SockFilter> {
    let port = u32::from(port);
    vec![
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE),
        SockFilter::new(JUMP_EQUAL, 0, 20, index),
        SockFilter::new(LOAD_BYTE, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 18, 0, OUTGOING),
        SockFilter::new(LOAD_BYTE, 0, 0, 0),
        SockFilter::new(SHIFT_RIGHT, 0, 0, 4),
        SockFilter::new(JUMP_EQUAL, 7, 0, 4),
        SockFilter::new(JUMP_EQUAL, 0, 13, 6),
        // IPv6
        SockFilter::new(LOAD_BYTE, 0, 0, 6),
        SockFilter::new(JUMP_EQUAL, 0, 11, UDP),
        SockFilter::new(LOAD_HALF, 0, 0, 40),
        SockFilter::new(JUMP_EQUAL, 10, 0, port),
        SockFilter::new(LOAD_HALF, 0, 0, 42),
        SockFilter::new(JUMP_EQUAL, 8, 7, port),
        // IPv4
        SockFilter::new(LOAD_BYTE, 0, 0, 9),
        SockFilter::new(JUMP_EQUAL, 0, 5, UDP),
        SockFilter::new(LOAD_X_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_HALF_AT_X, 0, 0, 0),
        SockFilter::new(JUMP_EQUAL, 3, 0, port),
        SockFilter::new(LOAD_HALF_AT_X, 0, 0, 2),
        SockFilter::new(JUMP_EQUAL, 1, 0, port),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_with_the_wanted_octets_are_counted_whatever_their_letters_case() {
        let kept = Kept {
            packets: vec![b"Dots.Example and more".to_vec(), b"nothing".to_vec()],
            ..Kept::default()
        };
        let octets = to_hexadecimal(b"dots.example");
        assert_eq!(from_hexadecimal(&octets), b"dots.example");
        let others = to_hexadecimal(b"absent");
        let wanted = [("own", octets), ("other", others)].map(|(name, one)| (name.to_owned(), one));
        let captured = search(&kept, &Wanted(wanted.into()));
        assert_eq!(captured.packets, 2);
        assert_eq!(captured.found, [("own".to_owned(), 1)].into());
    }
}
