//! How a client behaves towards servers: what an operator would complain about.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use agent::client::PathId;
use coap::{Message, MessageType, Token};
use dots::mitigation::MitigationRequest;
use ipnet::IpNet;

use crate::plaintext::PlaintextSession;

/// RFC 9132 §4.7: a set-up that failed is not tried again before this.
const SET_UP: Duration = Duration::from_secs(60);
/// RFC 9132 §4.4: the pace of requests as long as the round-trip time is not known.
const UNKNOWN_ROUND_TRIP: Duration = Duration::from_secs(3);
/// The fastest that one request is repeated.
const FASTEST: Duration = Duration::from_millis(250);
/// No round trip takes less here, and copies of different requests are as far apart.
const SHORTEST_ROUND_TRIP: Duration = Duration::from_millis(10);
/// Tokens remembered of each path.
const TOKENS: usize = 256;

/// What one client was seen to do since it started.
#[derive(Debug, Default)]
pub(crate) struct Manners {
    paths: BTreeMap<PathId, Path>,
    /// When the set-up began that failed last, by address.
    failed: BTreeMap<SocketAddr, Instant>,
    /// When the last two set-ups began, by address.
    begun: BTreeMap<SocketAddr, [Option<Instant>; 2]>,
}

#[derive(Debug)]
struct Path {
    remote: SocketAddr,
    begun: Instant,
    is_up: bool,
    is_of_old_network: bool,
    was_answered: bool,
    /// When the last copy of each request left.
    copies: BTreeMap<Token, Instant>,
    /// When the last Non-confirmable request left.
    last: Option<Instant>,
}

impl Manners {
    /// Covers S-067 of a run.
    pub(crate) fn on_open(
        &mut self,
        now: Instant,
        path: PathId,
        remote: SocketAddr,
    ) -> Result<(), String> {
        let is_early = |at: &Instant| now.saturating_duration_since(*at) < SET_UP;
        if let Some(at) = self.failed.get(&remote).filter(|at| is_early(at)) {
            return Err(format!(
                "tried {remote} again {:?} after a set-up that failed",
                now.saturating_duration_since(*at)
            ));
        }
        let [before, last] = self.begun.entry(remote).or_default();
        if before.as_ref().is_some_and(is_early) {
            return Err(format!("tried {remote} three times within {SET_UP:?}"));
        }
        (*before, *last) = (*last, Some(now));
        let fresh = Path {
            remote,
            begun: now,
            is_up: false,
            is_of_old_network: false,
            was_answered: false,
            copies: BTreeMap::new(),
            last: None,
        };
        self.paths.insert(path, fresh);
        Ok(())
    }

    /// The network is another: what failed in the old one says nothing of it.
    pub(crate) fn on_change(&mut self) {
        self.failed.clear();
        self.begun.clear();
        for path in self.paths.values_mut() {
            path.is_of_old_network = true;
        }
    }

    pub(crate) fn on_close(&mut self, path: PathId) {
        let closed = self.paths.remove(&path);
        if let Some(path) = closed.filter(|path| !path.is_up && !path.is_of_old_network) {
            self.failed.insert(path.remote, path.begun);
        }
    }

    pub(crate) fn on_receive(&mut self, path: PathId, datagram: &[u8]) {
        if let Some(path) = self.paths.get_mut(&path) {
            path.is_up |= PlaintextSession::is_welcome(datagram);
            let message = PlaintextSession::data(datagram).map(Message::decode);
            if let Some(Ok(message)) = message
                && message.code.is_response()
            {
                path.was_answered = true;
                // What comes under its token now, renews an observation.
                path.copies.remove(&message.token);
            }
        }
    }

    /// Covers S-038 and M-005 of a run: `assigned` is what the PvD of the server assigned.
    pub(crate) fn on_transmit<I: Iterator<Item = IpNet>>(
        &mut self,
        now: Instant,
        path: PathId,
        datagram: &[u8],
        assigned: impl Fn() -> I,
    ) -> Result<(), String> {
        let (Some(path), Some(data)) =
            (self.paths.get_mut(&path), PlaintextSession::data(datagram))
        else {
            return Ok(());
        };
        let message = Message::decode(data).map_err(|error| format!("sent no message: {error}"))?;
        if !message.code.is_request() {
            return Ok(());
        }
        path.check_pace(now, &message)?;
        check_targets(&message, path.remote, assigned)
    }
}

impl Path {
    /// The first copy of a request may leave at once, and no other before its time.
    fn check_pace(&mut self, now: Instant, message: &Message) -> Result<(), String> {
        if message.message_type != MessageType::NonConfirmable {
            return Ok(());
        }
        let (pace_of_one, pace_of_all) = match self.was_answered {
            true => (FASTEST, SHORTEST_ROUND_TRIP),
            false => (UNKNOWN_ROUND_TRIP, UNKNOWN_ROUND_TRIP),
        };
        let before = self.copies.insert(message.token, now);
        while self.copies.len() > TOKENS {
            self.copies.pop_first();
        }
        let last = self.last.replace(now).filter(|_| before.is_some());
        for (last, pace) in [(before, pace_of_one), (last, pace_of_all)] {
            let gap = last.map(|last| now.saturating_duration_since(last));
            if let Some(gap) = gap.filter(|gap| *gap < pace) {
                return Err(format!("repeated a request {gap:?} after the last"));
            }
        }
        Ok(())
    }
}

fn check_targets<I: Iterator<Item = IpNet>>(
    message: &Message,
    remote: SocketAddr,
    assigned: impl Fn() -> I,
) -> Result<(), String> {
    let asks = message
        .options
        .uri_path()
        .any(|segment| segment == Ok("mitigate"));
    if !asks || message.payload.is_empty() {
        return Ok(());
    }
    let request = MitigationRequest::decode(&message.payload);
    let target = request
        .map_err(|error| format!("sent no request: {error}"))?
        .target;
    let foreign = target
        .prefixes
        .iter()
        .find(|prefix| !assigned().any(|net| net.contains(&prefix.net())));
    match foreign {
        Some(prefix) => Err(format!(
            "asked {remote} to protect {prefix}, which is another's"
        )),
        None => Ok(()),
    }
}
