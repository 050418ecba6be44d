//! The host under attack: takes everything, remembers the attack, answers visitors.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use serde::{Deserialize, Serialize};

use super::packet::{Kind, PACKET_LENGTH, Packet};
use super::{Error, Flow};

/// Receive buffer asked of the kernel, in bytes: a flood must not push visitors out of the queue while this process waits for a CPU.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Most attack flows remembered; the lab makes fewer.
const MAX_FLOWS: usize = 256;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Port to listen on
    #[arg(long)]
    port: u16,
    /// Addresses to listen on
    #[arg(long = "address", required = true)]
    addresses: Vec<IpAddr>,
}

/// What arrived of one attack flow so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Received {
    /// The attacker's number for the flow.
    pub(crate) flow: Flow,
    /// Packets that arrived.
    pub(crate) packets: u64,
    /// CLOCK_MONOTONIC at the attacker when it sent the last one of them, in nanoseconds.
    pub(crate) last_sent_at: u64,
}

type Record = Mutex<BTreeMap<Flow, Received>>;

/// Every question is answered with the list of [`Received`].
pub(super) fn main(args: &Args) -> Result<(), Error> {
    let record = Arc::new(Record::default());
    for &address in &args.addresses {
        let socket = super::bind(address, args.port)?;
        // The kernel's maximum is accepted silently.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
        let record = Arc::clone(&record);
        thread::spawn(move || listen(&socket, &record));
    }
    super::answer_questions(|_| super::lock(&record).values().cloned().collect::<Vec<_>>())
}

fn listen(socket: &UdpSocket, record: &Record) {
    let mut buffer = [0; PACKET_LENGTH];
    loop {
        // Errors here are about single packets (ICMP); there will be others.
        let Ok((length, source)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(packet) = buffer.get(..length).and_then(Packet::decode) else {
            continue;
        };
        match packet.kind {
            Kind::Attack => note(&mut super::lock(record), &packet),
            Kind::Request => {
                let response = Packet {
                    kind: Kind::Response,
                    ..packet
                };
                let _ = socket.send_to(&response.encode(), source);
            }
            Kind::Response => (),
        }
    }
}

fn note(record: &mut BTreeMap<Flow, Received>, packet: &Packet) {
    if record.len() < MAX_FLOWS || record.contains_key(&packet.flow) {
        let flow = packet.flow;
        let received = record.entry(flow).or_insert(Received {
            flow,
            packets: 0,
            last_sent_at: 0,
        });
        received.packets += 1;
        received.last_sent_at = received.last_sent_at.max(packet.sent_at);
    }
}
