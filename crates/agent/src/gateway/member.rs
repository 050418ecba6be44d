//! What inside clients want, as servers upstream are asked for it.

use std::num::NonZeroU8;
use std::time::Instant;

use dots::identifiers::Cdid;
use dots::target::{Target, TargetPrefix};

use super::Terms;
use crate::server::{MitigationRecord, Standing};
use crate::time::Now;

/// What may be asked for together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// False: to be started when this gateway is lost.
    pub(super) trigger_mitigation: bool,
    /// The customer, where servers are told by a cdid for whom they are asked (RFC 9132 §4.4.1.2): whatever
    /// is said for its clients, to the servers they are one.
    pub(super) customer: Option<String>,
}

/// What one inside mitigation wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    /// Only addresses, ports and protocols, as the network outside sees them: no name, and nothing
    /// else of the inside, leaves (RFC 9132 §11).
    pub(super) target: Target,
    /// The same as the client knows it.
    pub(super) inside: Vec<TargetPrefix>,
    /// The domain of the client, where servers are told.
    pub(super) cdid: Option<Cdid>,
    pub(super) hop_limit: NonZeroU8,
    /// Until when; `None`: until it is withdrawn.
    pub(super) until: Option<Instant>,
}

impl Wanted {
    /// What a mitigation wants; nothing if that of another client is in force instead, or if there
    /// is no address to protect.
    pub(super) fn of(now: Now, record: &MitigationRecord, terms: &Terms) -> Option<Self> {
        let scope = record.scope.target();
        let target = Target {
            prefixes: scope.prefixes,
            port_ranges: scope.port_ranges,
            protocols: scope.protocols,
            ..Target::default()
        };
        let trigger_mitigation = match record.standing {
            // The inside client is lost, and upstream nobody knows: it is asked for at once.
            Standing::Active { .. } | Standing::Terminating { .. } => true,
            Standing::Parked => false,
            Standing::Deactivated => return None,
        };
        // The first gateway of the servers' domain says it, and none after it another one.
        let own = || Cdid::from_spki_sha256(&record.credential);
        let cdid = record.relayed.cdid.clone();
        let cdid = cdid.or_else(|| terms.says_domain.then(own));
        let inside = target.prefixes.clone();
        let target = terms.translation.outside(&target);
        (!target.prefixes.is_empty()).then_some(Self {
            kind: Kind {
                trigger_mitigation,
                customer: cdid.is_some().then(|| record.key.customer.clone()),
            },
            target,
            inside,
            cdid,
            hop_limit: record
                .relayed
                .hop_limit
                .unwrap_or(terms.relay.initial_hop_limit),
            until: record.expires_unix.map(|at| now.instant_of(at)),
        })
    }

    /// Whether servers know it by other addresses than the client.
    pub(super) fn is_translated(&self) -> bool {
        let inside = &self.inside;
        self.target
            .prefixes
            .iter()
            .any(|seen| !inside.contains(seen))
    }

    /// Whether the same is asked for, be it for another time.
    pub(super) fn is_same_but_for_time(&self, other: &Self) -> bool {
        Self {
            until: self.until,
            ..other.clone()
        } == *self
    }
}

/// The later of two ends, of which `None` never comes.
pub(super) fn later_of(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.zip(other).map(|(one, other)| one.max(other))
}
