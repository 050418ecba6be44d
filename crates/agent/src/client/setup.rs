//! When a session with a server is set up, and with which of its addresses (RFC 9132 §4.7).
//!
//! ```text
//! Resting --due--> first address --failed--> next address ... --failed--> first address
//!    ^                |                         |
//!    '---established--'-------------------------'     each at once, or 60 s after its last turn
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A set-up that failed is not tried again with the same address before this (RFC 9132 §4.7:
/// never more often than every 60 s, and rather every 300 s; a home under attack needs the former).
const SHORTEST_RETRY: Duration = Duration::from_secs(60);

/// Where a server can be reached, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    pub(super) address: SocketAddr,
    pub(super) source: Option<IpAddr>,
}

/// The attempts to set up a session with one server, with one address after another.
#[derive(Debug)]
pub(super) struct Setup {
    /// With each, when it was last tried.
    remotes: Vec<(Remote, Option<Instant>)>,
    /// Which of `remotes` is tried next.
    turn: usize,
    /// The session that is up came up at the first address, and was not replaced yet.
    may_replace_at_once: bool,
    retry: Option<Instant>,
    last_failure: Option<String>,
}

impl Setup {
    /// The first attempt is due at once.
    pub(super) fn new(now: Instant, remotes: Vec<Remote>) -> Self {
        Self {
            remotes: remotes.into_iter().map(|remote| (remote, None)).collect(),
            turn: 0,
            may_replace_at_once: false,
            retry: Some(now),
            last_failure: None,
        }
    }

    /// When the next attempt is due; `None`: none is planned.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Why the last attempt or session ended, until another session is up.
    pub(super) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// Whether an attempt is due. It is then not planned any more.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.retry.is_some_and(|at| at <= now);
        if is_due {
            self.retry = None;
        }
        is_due
    }

    /// The address of the attempt that begins now.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Remote> {
        self.may_replace_at_once = false;
        let Some((remote, tried)) = self.remotes.get_mut(self.turn) else {
            self.last_failure = Some(
                "none of the server's addresses is of a family that this PvD has an address of"
                    .to_owned(),
            );
            return None;
        };
        *tried = Some(now);
        Some(*remote)
    }

    /// An attempt failed: it is the next address's turn.
    pub(super) fn failed(&mut self, now: Instant, reason: String) {
        self.last_failure = Some(reason);
        self.plan((self.turn + 1) % self.remotes.len().max(1), now);
    }

    /// A session came up, and perhaps took the place of another.
    pub(super) fn established(&mut self, is_replacement: bool) {
        self.may_replace_at_once = self.turn == 0 && !is_replacement;
        self.retry = None;
        self.last_failure = None;
    }

    /// The session that was up is over. One that lasted earns an immediate new attempt.
    pub(super) fn ended(&mut self, now: Instant, reason: String) {
        self.last_failure = Some(reason);
        self.plan(0, now);
    }

    /// The session that is up does not do: plans one beside it. The first may begin at once,
    /// for no set-up has failed (RFC 9132 §4.7).
    pub(super) fn replace(&mut self, now: Instant) {
        if self.retry.is_none() {
            self.plan(0, now);
            if self.may_replace_at_once {
                self.retry = Some(now);
            }
        }
    }

    /// No session is wanted any more.
    pub(super) fn stop(&mut self) {
        self.retry = None;
    }

    fn plan(&mut self, turn: usize, now: Instant) {
        self.turn = turn;
        let tried = self.remotes.get(turn).and_then(|(_, tried)| *tried);
        self.retry = Some(tried.map_or(now, |tried| now.max(tried + SHORTEST_RETRY)));
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn machine(addresses: u16) -> (Instant, Setup) {
        let start = Instant::now();
        let remote = |port| Remote {
            address: SocketAddr::from(([192, 0, 2, 1], port)),
            source: None,
        };
        (
            start,
            Setup::new(start, (0..addresses).map(remote).collect()),
        )
    }

    /// Lets the first attempt begin, at the first of two addresses.
    fn begun() -> (Instant, Setup) {
        let (start, mut setup) = machine(2);
        assert!(setup.take_due(start));
        assert_eq!(setup.begin(start).unwrap().address.port(), 0);
        (start, setup)
    }

    /// Covers: S-067
    #[test]
    fn addresses_are_tried_one_after_the_other_and_each_again_after_60_s() {
        let (start, mut setup) = begun();
        setup.failed(start + seconds(5), "refused".to_owned());
        assert!(setup.take_due(start + seconds(5)));
        assert_eq!(setup.begin(start + seconds(5)).unwrap().address.port(), 1);
        setup.failed(start + seconds(8), "silent".to_owned());
        assert_eq!(setup.retry(), Some(start + seconds(60)));
        assert_eq!(setup.last_failure(), Some("silent"));
        assert!(setup.take_due(start + seconds(60)));
        setup.begin(start + seconds(60)).unwrap();
        setup.failed(start + seconds(60), "refused".to_owned());
        assert_eq!(setup.retry(), Some(start + seconds(65)));
    }

    /// Covers: S-067, S-068
    #[test]
    fn only_the_first_replacement_of_a_session_begins_at_once() {
        let (start, mut setup) = begun();
        setup.established(false);
        setup.replace(start + seconds(10));
        assert!(setup.take_due(start + seconds(10)));
        setup.begin(start + seconds(10)).unwrap();
        setup.established(true);
        setup.replace(start + seconds(20));
        assert_eq!(setup.retry(), Some(start + seconds(70)));
    }

    /// Covers: S-067
    #[test]
    fn a_session_that_came_up_after_a_failure_is_not_replaced_at_once() {
        let (start, mut setup) = begun();
        setup.failed(start, "refused".to_owned());
        setup.begin(start).unwrap();
        setup.established(false);
        setup.replace(start + seconds(10));
        assert_eq!(setup.retry(), Some(start + seconds(60)));
    }

    #[test]
    fn a_server_without_a_usable_address_is_not_tried() {
        let (start, mut setup) = machine(0);
        assert!(setup.take_due(start));
        assert_eq!(setup.begin(start), None);
        assert_eq!(setup.retry(), None);
        assert!(setup.last_failure().is_some());
    }

    proptest! {
        /// Covers: S-067. Whatever happens in between, no address is tried within 60 s of an
        /// attempt with it that failed, nor more than twice within 60 s.
        #[test]
        fn an_address_that_failed_is_left_in_peace_for_60_s(
            steps in proptest::collection::vec((0_u8..6, 0_u64..90), 1..200),
        ) {
            let (start, mut setup) = machine(2);
            let (mut now, mut trying, mut up) = (start, None, false);
            let mut failed: [Option<Instant>; 2] = [None; 2];
            let mut begun: [Vec<Instant>; 2] = [vec![], vec![]];
            for (step, wait) in steps {
                now += seconds(wait);
                if trying.is_none() && setup.take_due(now) {
                    let port = usize::from(setup.begin(now).unwrap().address.port());
                    prop_assert!(failed[port].is_none_or(|at| now - at >= SHORTEST_RETRY));
                    begun[port].push(now);
                    trying = Some((port, now));
                }
                match (step, trying, up) {
                    (0 | 1, Some((port, at)), _) => {
                        failed[port] = Some(at);
                        trying = None;
                        setup.failed(now, String::new());
                    }
                    (2 | 3, Some(_), _) => {
                        setup.established(up);
                        (trying, up) = (None, true);
                    }
                    (4, None, true) => {
                        up = false;
                        setup.ended(now, String::new());
                    }
                    (5, None, true) => setup.replace(now),
                    _ => {}
                }
            }
            for tries in begun {
                for three in tries.windows(3) {
                    prop_assert!(three[2] - three[0] >= SHORTEST_RETRY);
                }
            }
        }
    }
}
