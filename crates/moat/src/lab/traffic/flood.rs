//! The attacker: paced UDP packets in several flows.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::packet::{Kind, Packet};
use super::{Error, Flow, Pair};
use crate::lab::monotonic_nanoseconds;

/// Longest burst after the process was held up, in rounds: the flood is steady rather than complete.
const MAX_BURST_ROUNDS: u32 = 50;

/// Never floods longer than this, whatever became of the process that asks.
const MAX_DURATION: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Destination port
    #[arg(long)]
    port: u16,
    /// Packets per second of each flow
    #[arg(long)]
    rate: u32,
    /// Flows, each FROM,TO; numbered from 0
    #[arg(long = "flow", required = true)]
    flows: Vec<Pair>,
}

/// Every question is answered with nothing.
pub(super) fn main(args: &Args) -> Result<(), Error> {
    let mut flows = Vec::new();
    for (number, pair) in (0..).zip(&args.flows) {
        let socket = super::bind(pair.from, 0)?;
        flows.push((Flow(number), socket, SocketAddr::new(pair.to, args.port)));
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| flood(&flows, args.rate, &stop));
        let answered = super::answer_questions(|_| ());
        stop.store(true, Ordering::Relaxed);
        answered
    })
}

/// Sends rounds of one packet for each flow.
fn flood(flows: &[(Flow, UdpSocket, SocketAddr)], rate: u32, stop: &AtomicBool) {
    let interval = Duration::from_secs(1) / rate.max(1);
    let start = Instant::now();
    let mut due = start;
    for sequence in 0.. {
        let now = Instant::now();
        if stop.load(Ordering::Relaxed) || now > start + MAX_DURATION {
            return;
        }
        for (flow, socket, target) in flows {
            let packet = Packet {
                kind: Kind::Attack,
                flow: *flow,
                sequence,
                sent_at: monotonic_nanoseconds(),
            };
            // A full queue loses the packet, as on a real link.
            let _ = socket.send_to(&packet.encode(), target);
        }
        due = (due + interval).max(now.checked_sub(interval * MAX_BURST_ROUNDS).unwrap_or(now));
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
