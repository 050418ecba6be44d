//! The stateless front door of a server (RFC 6347 §4.2.1).
//!
//! ```text
//! datagram -> not a ClientHello                  -> Dropped
//!          -> ClientHello, no or a wrong cookie  -> Reply: HelloVerifyRequest, at most as long as the ClientHello
//!          -> ClientHello, cookie of this source -> Verified
//! ```
//! The cookie is an HMAC-SHA256 over the source and the parameters that RFC 6347 §4.2.1 names. Keys are derived from a
//! seed for each period of [`KEY_PERIOD`]; the key of the previous period is accepted too. Doors with the same seed and
//! the same start accept each other's cookies. Nothing is allocated here.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::HelloError;
use crate::client_hello::ClientHello;
use crate::hmac::HmacKey;

/// How long a key makes cookies. A cookie is good for this long at least and twice as long at most.
pub(crate) const KEY_PERIOD: Duration = Duration::from_secs(60);

const COOKIE: usize = 32;
const REPLY: usize = REPLY_HEAD.len() + COOKIE;
const SEQUENCE_AT: usize = 5;

/// A HelloVerifyRequest up to its cookie. It says DTLS 1.0 whatever is negotiated later, as RFC 6347 §4.2.1 asks.
#[rustfmt::skip]
const REPLY_HEAD: [u8; 28] = [
    22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 47,
    3, 0, 0, 35, 0, 0, 0, 0, 0, 0, 0, 35,
    0xfe, 0xff, 32,
];

/// What the door makes of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nothing to be done.
    Dropped(DropReason),
    /// Send this HelloVerifyRequest back.
    Reply(&'a [u8]),
    /// The source receives what is sent to it, and the datagram starts a handshake.
    Verified,
}

/// Why a datagram of a source without a session was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DropReason {
    /// It is not an initial ClientHello.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The cookie was right, but OpenSSL could not start a session from the datagram.
    #[error("OpenSSL could not start a session")]
    NotStarted,
}

/// What the door has seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DoorCounters {
    /// Datagrams that are no initial ClientHello.
    pub dropped: u64,
    /// ClientHellos without a cookie, answered.
    pub challenged: u64,
    /// ClientHellos with a wrong or outdated cookie, answered like those without.
    pub wrong_cookie: u64,
    /// ClientHellos with a right cookie.
    pub verified: u64,
}

struct PeriodKey {
    period: u64,
    key: HmacKey,
}

/// The stateless front door: tells apart sources that prove to receive what is sent to them.
pub struct CookieDoor {
    seed: HmacKey,
    start: Instant,
    current: PeriodKey,
    previous: Option<PeriodKey>,
    reply: [u8; REPLY],
    counters: DoorCounters,
}

impl CookieDoor {
    /// A door whose keys come from `seed` (random, secret); `start` is when the first of them becomes valid.
    #[must_use]
    pub fn new(seed: &[u8; 32], start: Instant) -> Self {
        let seed = HmacKey::new(seed);
        let mut reply = [0; REPLY];
        reply[..REPLY_HEAD.len()].copy_from_slice(&REPLY_HEAD);
        Self {
            current: derive(&seed, 0),
            seed,
            start,
            previous: None,
            reply,
            counters: DoorCounters::default(),
        }
    }

    /// What the door has seen so far.
    #[must_use]
    pub fn counters(&self) -> DoorCounters {
        self.counters
    }

    /// Judges a datagram of a source that has no session.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Verdict<'_> {
        let hello = match ClientHello::parse(datagram) {
            Ok(hello) => hello,
            Err(error) => {
                self.counters.dropped += 1;
                return Verdict::Dropped(error.into());
            }
        };
        self.rotate(now);
        let expected = cookie(&self.current.key, source, &hello);
        if !hello.cookie.is_empty() {
            let previous = self.previous.as_ref();
            if same(hello.cookie, &expected)
                || previous.is_some_and(|it| same(hello.cookie, &cookie(&it.key, source, &hello)))
            {
                self.counters.verified += 1;
                return Verdict::Verified;
            }
            self.counters.wrong_cookie += 1;
        } else {
            self.counters.challenged += 1;
        }
        self.reply[SEQUENCE_AT..SEQUENCE_AT + 6].copy_from_slice(hello.record_sequence);
        self.reply[REPLY_HEAD.len()..].copy_from_slice(&expected);
        Verdict::Reply(&self.reply)
    }

    fn rotate(&mut self, now: Instant) {
        let period = now.saturating_duration_since(self.start).as_secs() / KEY_PERIOD.as_secs();
        if period <= self.current.period {
            return;
        }
        self.previous = Some(derive(&self.seed, period - 1));
        self.current = derive(&self.seed, period);
    }
}

impl std::fmt::Debug for CookieDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieDoor")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

fn derive(seed: &HmacKey, period: u64) -> PeriodKey {
    let mut hmac = seed.start();
    hmac.update(&period.to_be_bytes());
    PeriodKey {
        period,
        key: HmacKey::new(&hmac.finish()),
    }
}

/// The fields that vary in length go after their length, so that no two hellos yield the same octets.
fn cookie(key: &HmacKey, source: SocketAddr, hello: &ClientHello<'_>) -> [u8; COOKIE] {
    let mut hmac = key.start();
    match source.ip() {
        IpAddr::V4(address) => {
            hmac.update(&[4]);
            hmac.update(&address.octets());
        }
        IpAddr::V6(address) => {
            hmac.update(&[6]);
            hmac.update(&address.octets());
        }
    }
    hmac.update(&source.port().to_be_bytes());
    hmac.update(hello.version);
    hmac.update(hello.random);
    for field in [
        hello.session_id,
        hello.cipher_suites,
        hello.compression_methods,
    ] {
        hmac.update(&field.len().to_be_bytes());
        hmac.update(field);
    }
    hmac.finish()
}

fn same(offered: &[u8], expected: &[u8; COOKIE]) -> bool {
    offered.len() == COOKIE && openssl::memcmp::eq(offered, expected)
}
