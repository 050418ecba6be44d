//! What the operator of a server decides.

use std::num::NonZeroU32;
use std::time::Duration;

use super::conflict::ConflictPolicy;
use super::upstream::Relaying;

/// What the operator of a server decides.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The longest lifetime granted, in seconds; also what an indefinite one becomes
    /// (RFC 9132 §4.4.1.1).
    pub max_lifetime: NonZeroU32,
    /// What becomes of requests of different clients for the same addresses (RFC 9132 §4.4.1.3).
    pub on_conflict: ConflictPolicy,
    /// How long a mitigation goes on after its withdrawal, so that routes do not flap; at most 300 s.
    /// Zero: not at all (RFC 9132 §4.4.4).
    pub terminating: Duration,
    /// After how long without anything dropped an attack is said to have stopped (RFC 9132 §4.4.2).
    /// Zero: never.
    pub attack_stopped_after: Duration,
    /// How long a client may be away whose session broke, or since a restart, before what it
    /// preconfigured starts (RFC 9132 §4.7).
    pub lost_after: Duration,
    /// How often observers are told without a change; at least 3 s (RFC 9132 §4.4.2.1).
    pub notification_interval: Duration,
    /// How long an observer is not told again after it was; what changes meanwhile is told then.
    pub notification_pause: Duration,
    /// How many observations one session may hold.
    pub max_observations: usize,
    /// How many observations the sessions of one customer may hold together.
    pub max_observations_of_customer: usize,
    /// How many prefixes, port ranges, protocols and names one request may name altogether, its
    /// aliases included.
    pub max_targets: usize,
    /// How many names one request may name, in its aliases and URIs too.
    pub max_names: usize,
    /// How many requests of all customers may wait for names to be resolved.
    pub max_waiting: usize,
    /// How many requests of one customer may.
    pub max_waiting_of_customer: usize,
    /// How many names may be looked up at a time for one customer. A request that is alone may name
    /// more.
    pub max_lookups_of_customer: usize,
    /// How long a request waits for its names, and a name for its resolver.
    pub resolution_limit: Duration,
    /// The largest body of a response, in bytes; it goes block by block (RFC 9132 §4.4.2).
    pub max_body: usize,
    /// The largest body of a notification, in bytes, which has to fit one datagram (RFC 9132 §7.3).
    /// What needs more can be asked for, but not observed.
    pub max_notification: usize,
    /// How many mitigations all customers may have together.
    pub max_mitigations: usize,
    /// How many sessions each customer may have.
    pub max_sessions_of_customer: usize,
    /// How many requests a second each customer may make in the long run, heartbeats and session
    /// configuration aside.
    pub requests_per_second: NonZeroU32,
    /// How many requests each customer may make at once.
    pub request_burst: NonZeroU32,
    /// How requests are relayed: at a gateway, which enforces nothing itself.
    pub relaying: Option<Relaying>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_lifetime: NonZeroU32::MIN.saturating_add(86_399),
            on_conflict: ConflictPolicy::Both,
            terminating: Duration::from_secs(120),
            attack_stopped_after: Duration::from_secs(300),
            // As long as default heartbeats take to find a peer lost: 15 of 30 s (§4.5.2).
            lost_after: Duration::from_secs(450),
            notification_interval: Duration::from_secs(15),
            notification_pause: Duration::from_secs(1),
            max_observations: 64,
            max_observations_of_customer: 256,
            max_targets: 256,
            max_names: 8,
            max_waiting: 256,
            max_waiting_of_customer: 16,
            max_lookups_of_customer: 16,
            resolution_limit: Duration::from_secs(5),
            max_body: 64 * 1024,
            max_notification: 1024,
            max_mitigations: 100_000,
            max_sessions_of_customer: 64,
            requests_per_second: NonZeroU32::MIN.saturating_add(1_999),
            request_burst: NonZeroU32::MIN.saturating_add(49_999),
            relaying: None,
        }
    }
}
