//! The server's entrance: the cookie door, and a session for each source that passes it.

use std::net::SocketAddr;
use std::time::Instant;

use crate::cookie::{CookieDoor, DoorCounters, DropReason, Verdict};
use crate::{OpensslSession, ServerConfig};

/// Takes the datagrams of sources that have no session yet.
#[derive(Debug)]
pub struct Acceptor {
    config: ServerConfig,
    door: CookieDoor,
}

/// What becomes of a datagram of a source that has no session.
#[derive(Debug)]
pub enum Accept<'a> {
    /// Nothing to be done.
    Dropped(DropReason),
    /// Send this HelloVerifyRequest back; nothing is remembered.
    Reply(&'a [u8]),
    /// A session has begun: drain its outputs, and hand it what its source sends from now on.
    Session(Box<OpensslSession>),
}

impl Acceptor {
    /// An acceptor whose cookies come from `seed` (32 random octets, kept secret). Acceptors that share the seed and
    /// `now` accept each other's cookies; with clones of one configuration they resume each other's sessions too.
    #[must_use]
    pub fn new(config: ServerConfig, seed: &[u8; 32], now: Instant) -> Self {
        Self {
            config,
            door: CookieDoor::new(seed, now),
        }
    }

    /// Takes a datagram of a source that has no session.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Accept<'_> {
        match self.door.handle_datagram(now, source, datagram) {
            Verdict::Dropped(reason) => Accept::Dropped(reason),
            Verdict::Reply(reply) => Accept::Reply(reply),
            Verdict::Verified => match self.config.accept(now, datagram) {
                Some(session) => Accept::Session(Box::new(session)),
                None => Accept::Dropped(DropReason::NotStarted),
            },
        }
    }

    /// What the door has seen so far.
    #[must_use]
    pub fn counters(&self) -> DoorCounters {
        self.door.counters()
    }
}
