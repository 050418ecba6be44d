//! Asks the DHCP servers of a link for information, again and again.
//!
//! ```text
//! client                                        server
//!   | (up to a second, by chance)                 |
//!   |--- Information-request | DHCPINFORM ------->|   to all servers of the link
//!   |--- the same, each time after a longer wait->|   over IPv4 as a new transaction
//!   |<-- Reply | DHCPACK -------------------------|   the first that fits
//!   | (until the refresh time is over)            |
//!   |--- the next transaction ------------------->|
//! ```

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::retransmission::Waits;
use super::v6::TransactionId;
use super::{Ignored, Information, LinkAddress, v4, v6};

/// The longest wait before the first message (RFC 8415 §7.6, INF_MAX_DELAY): whoever attached at the same moment asks
/// at another.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Which DHCP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// DHCPv6.
    V6,
    /// DHCPv4, by a node that has this address on the link.
    V4(Ipv4Addr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Delaying {
        until: Instant,
    },
    Asking {
        transaction: u32,
        began: Instant,
        repeat: Instant,
    },
    Answered {
        again: Option<Instant>,
    },
}

/// The exchange of one interface and address family.
#[derive(Debug)]
pub struct Exchange {
    version: Version,
    client: LinkAddress,
    waits: Waits,
    rng: fastrand::Rng,
    state: State,
}

impl Exchange {
    /// Begins to ask.
    pub fn new(now: Instant, version: Version, client: LinkAddress, seed: u64) -> Self {
        let waits = match version {
            Version::V6 => Waits::DHCPV6,
            Version::V4(_) => Waits::DHCPV4,
        };
        let mut exchange = Self {
            version,
            client,
            waits,
            rng: fastrand::Rng::with_seed(seed),
            state: State::Answered { again: None },
        };
        exchange.restart(now);
        exchange
    }

    /// Asks anew, whatever was answered.
    pub fn restart(&mut self, now: Instant) {
        self.waits.restart();
        let delay = FIRST_DELAY.mul_f64(self.rng.f64());
        self.state = State::Delaying { until: now + delay };
    }

    /// When [`Exchange::poll_transmit`] has something; `None` is never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Delaying { until } => Some(until),
            State::Asking { repeat, .. } => Some(repeat),
            State::Answered { again } => again,
        }
    }

    /// The message that is due, if one is.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return None;
        }
        let (transaction, began) = match self.state {
            // A repetition over IPv6 is one (RFC 8415 §16.1). Over IPv4 it need not be (RFC 2131 §4.1), and who is far away has less
            // time to guess it.
            State::Asking {
                transaction, began, ..
            } => match self.version {
                Version::V6 => (transaction, began),
                Version::V4(_) => (self.rng.u32(..), began),
            },
            State::Delaying { .. } => (self.rng.u32(..), now),
            State::Answered { .. } => {
                self.restart(now);
                return None;
            }
        };
        self.state = State::Asking {
            transaction,
            began,
            repeat: now + self.waits.next(&mut self.rng),
        };
        let elapsed = now.saturating_duration_since(began);
        Some(match self.version {
            Version::V6 => v6::information_request(short(transaction), &self.client, elapsed),
            Version::V4(address) => v4::inform(transaction, &self.client, address, elapsed),
        })
    }

    /// Takes what came to the client's port.
    ///
    /// # Errors
    /// [`Ignored`], for what is no answer; the question stands.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<Information, Ignored> {
        let State::Asking { transaction, .. } = self.state else {
            return Err(Ignored::Unasked);
        };
        let information = match self.version {
            Version::V6 => {
                let reply = v6::reply(datagram, short(transaction), &self.client)?;
                if let Some(longest) = reply.longest_wait {
                    self.waits.limit(longest);
                }
                reply.information
            }
            Version::V4(_) => v4::acknowledgement(datagram, transaction, &self.client)?,
        };
        self.state = State::Answered {
            again: information.refresh.map(|refresh| now + refresh),
        };
        Ok(information)
    }
}

fn short(transaction: u32) -> TransactionId {
    let [_, short @ ..] = transaction.to_be_bytes();
    TransactionId(short)
}
