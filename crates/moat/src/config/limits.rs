//! `[limits]`: most that the network may make the server hold or do (RFC 9132 §11).

use std::num::NonZeroU32;
use std::time::Duration;

use agent::server::{Policy, SessionLimits};

use super::reader::{Diagnostics, Table};

/// Declares `[limits]`: each field is a key of the same name with a default and a range.
macro_rules! limits {
    ($($(#[$doc:meta])+ $name:ident = $default:literal in $range:expr;)+) => {
        /// `[limits]`: most that the network may make the server hold or do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct Limits { $($(#[$doc])+ pub(crate) $name: NonZeroU32,)+ }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: const { NonZeroU32::new($default).unwrap() },)+ }
            }
        }

        impl Limits {
            /// A number that is out of range is noted, and its default stands in for it until the file is refused.
            fn read_table(mut table: Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Self {
                let mut limits = Self::default();
                $(if let Some(value) = table.take(stringify!($name)) {
                    limits.$name = value
                        .number($range, "", diagnostics)
                        .and_then(NonZeroU32::new)
                        .unwrap_or(limits.$name);
                })+
                table.finish(diagnostics);
                limits
            }
        }
    };
}

limits! {
    /// Sessions at each address listened on, established or in handshake.
    sessions = 10_000 in 1..=10_000_000;
    /// Of these, sessions of one source: an IPv4 address or an IPv6 prefix of 64 bits.
    sessions_per_source = 64 in 1..=1_000_000;
    /// Established sessions of one customer.
    sessions_per_customer = 64 in 1..=1_000_000;
    /// Handshakes under way at each address listened on. One more takes the place of the oldest.
    handshakes = 1_000 in 1..=1_000_000;
    /// Of these, handshakes of one source.
    handshakes_per_source = 16 in 1..=1_000_000;
    /// Mitigations of all customers together.
    mitigations = 100_000 in 1..=10_000_000;
    /// Mitigations of a customer that has no `max_mitigations`.
    mitigations_per_customer = 100 in 1..=1_000_000;
    /// Observations that one session may hold (RFC 9132 §4.4.2.1).
    observations_per_session = 64 in 1..=1_000_000;
    /// Observations that the sessions of one customer may hold together.
    observations_per_customer = 256 in 1..=1_000_000;
    /// Prefixes, port ranges, protocols and names that one request may name altogether.
    targets_per_request = 256 in 1..=1_000;
    /// Of these, names that have to be looked up.
    names_per_request = 8 in 1..=1_000;
    /// Requests of all customers that wait for names to be looked up.
    waiting_requests = 256 in 1..=100_000;
    /// Of these, requests of one customer.
    waiting_requests_per_customer = 16 in 1..=100_000;
    /// Names that are looked up at a time for one customer; a request that is alone may name more.
    lookups_per_customer = 16 in 1..=64;
    /// Seconds that a request waits for its names.
    waiting_seconds = 5 in 1..=60;
    /// Requests that one customer may make in a second in the long run.
    requests_per_second = 2_000 in 1..=1_000_000;
    /// Requests that one customer may make at once.
    request_burst = 50_000 in 1..=10_000_000;
    /// Bytes of a response's body, which goes block by block (RFC 9132 §4.4.2).
    response_bytes = 65_536 in 1_024..=1_048_576;
    /// Bytes of a notification's body, which has to fit one datagram (RFC 9132 §7.3).
    notification_bytes = 1_024 in 256..=1_152;
}

impl Limits {
    /// `[limits]` of a server's file; the defaults when there is none.
    pub(super) fn read(table: &mut Table<'_>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        match table.take("limits") {
            Some(value) => value
                .table("a table: [limits]", diagnostics)
                .map(|table| Self::read_table(table, diagnostics)),
            None => Some(Self::default()),
        }
    }

    /// Those on sessions.
    pub(crate) fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            sessions: to_usize(self.sessions),
            sessions_per_source: to_usize(self.sessions_per_source),
            handshakes: to_usize(self.handshakes),
            handshakes_per_source: to_usize(self.handshakes_per_source),
        }
    }

    /// Those on requests, and defaults for everything else.
    pub(super) fn policy(&self) -> Policy {
        Policy {
            max_observations: to_usize(self.observations_per_session),
            max_observations_of_customer: to_usize(self.observations_per_customer),
            max_targets: to_usize(self.targets_per_request),
            max_names: to_usize(self.names_per_request),
            max_waiting: to_usize(self.waiting_requests),
            max_waiting_of_customer: to_usize(self.waiting_requests_per_customer),
            max_lookups_of_customer: to_usize(self.lookups_per_customer),
            resolution_limit: Duration::from_secs(self.waiting_seconds.get().into()),
            max_body: to_usize(self.response_bytes),
            max_notification: to_usize(self.notification_bytes),
            max_mitigations: to_usize(self.mitigations),
            max_sessions_of_customer: to_usize(self.sessions_per_customer),
            requests_per_second: self.requests_per_second,
            request_burst: self.request_burst,
            ..Policy::default()
        }
    }
}

pub(super) fn to_usize(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}
