//! A legitimate visitor: steady requests to each address of the victim, and the count of responses.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::packet::{Kind, PACKET_LENGTH, Packet};
use super::{Error, Flow, Pair};
use crate::lab::monotonic_nanoseconds;

/// A response that takes longer counts as lost: so long that none does because a machine is busy.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is looked whether all are answered.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Destination port
    #[arg(long)]
    port: u16,
    /// Requests per second on each path
    #[arg(long)]
    rate: u32,
    /// Paths, each FROM,TO
    #[arg(long = "path", required = true)]
    paths: Vec<Pair>,
}

/// What became of the requests on one path within a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Visits {
    /// The visitor's address.
    pub(crate) from: std::net::IpAddr,
    /// The victim's address.
    pub(crate) to: std::net::IpAddr,
    /// Requests sent in the window.
    pub(crate) sent: u64,
    /// How many of them were answered in time.
    pub(crate) answered: u64,
}

impl Visits {
    fn are_answered(&self) -> bool {
        self.answered >= self.sent
    }
}

/// Requests of one path: those numbered `from..next` are in the window.
#[derive(Debug, Default)]
struct Window {
    from: u64,
    next: u64,
    answered: u64,
    open: bool,
}

struct Path {
    pair: Pair,
    socket: UdpSocket,
    window: Mutex<Window>,
}

/// `open` starts a window, any other question ends it. The answer is the list of [`Visits`] in the window.
pub(super) fn main(args: &Args) -> Result<(), Error> {
    let mut paths = Vec::new();
    for (number, &pair) in (0..).zip(&args.paths) {
        let path = Arc::new(Path {
            pair,
            socket: super::bind(pair.from, 0)?,
            window: Mutex::default(),
        });
        let (sender, receiver) = (Arc::clone(&path), Arc::clone(&path));
        let target = SocketAddr::new(pair.to, args.port);
        let interval = Duration::from_secs(1) / args.rate.max(1);
        thread::spawn(move || send(&sender, Flow(number), target, interval));
        thread::spawn(move || receive(&receiver));
        paths.push(path);
    }
    super::answer_questions(|question| {
        if question == "open" {
            paths
                .iter()
                .for_each(|path| super::lock(&path.window).open());
        } else {
            paths
                .iter()
                .for_each(|path| super::lock(&path.window).open = false);
            let end = Instant::now() + RESPONSE_TIMEOUT;
            while Instant::now() < end && !paths.iter().all(|path| path.visits().are_answered()) {
                thread::sleep(LOOK_AGAIN);
            }
        }
        paths.iter().map(|path| path.visits()).collect::<Vec<_>>()
    })
}

fn send(path: &Path, flow: Flow, target: SocketAddr, interval: Duration) {
    let mut due = Instant::now();
    for sequence in 0.. {
        super::lock(&path.window).sending(sequence);
        let packet = Packet {
            kind: Kind::Request,
            flow,
            sequence,
            sent_at: monotonic_nanoseconds(),
        };
        let _ = path.socket.send_to(&packet.encode(), target);
        due = (due + interval).max(Instant::now());
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn receive(path: &Path) {
    let mut buffer = [0; PACKET_LENGTH];
    loop {
        let Ok((length, _)) = path.socket.recv_from(&mut buffer) else {
            continue;
        };
        let Some(packet) = buffer.get(..length).and_then(Packet::decode) else {
            continue;
        };
        let age = Duration::from_nanos(monotonic_nanoseconds().saturating_sub(packet.sent_at));
        if packet.kind == Kind::Response && age <= RESPONSE_TIMEOUT {
            super::lock(&path.window).answered(packet.sequence);
        }
    }
}

impl Path {
    fn visits(&self) -> Visits {
        let window = super::lock(&self.window);
        Visits {
            from: self.pair.from,
            to: self.pair.to,
            sent: window.next - window.from,
            answered: window.answered,
        }
    }
}

impl Window {
    /// Starts anew with the next request.
    fn open(&mut self) {
        *self = Window {
            open: true,
            ..Window::default()
        };
    }

    fn sending(&mut self, sequence: u64) {
        if self.open {
            if self.next == self.from {
                self.from = sequence;
            }
            self.next = sequence + 1;
        }
    }

    fn answered(&mut self, sequence: u64) {
        if (self.from..self.next).contains(&sequence) {
            self.answered += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_sent_in_the_window_count() {
        let mut window = Window::default();
        window.sending(0);
        window.open();
        window.answered(0);
        for sequence in 1..4 {
            window.sending(sequence);
        }
        window.open = false;
        window.sending(4);
        for sequence in [1, 3, 4] {
            window.answered(sequence);
        }
        assert_eq!((window.from, window.next, window.answered), (1, 4, 2));
    }
}
