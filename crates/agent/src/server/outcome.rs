//! The decisions of a server, for its log.

use std::net::IpAddr;

use coap::Code;
use dots::lifetime::Lifetime;
use dots::mitigation::AttackStatus;
use dots::target::{DomainName, TargetPrefix};
use dtls::Peer;

use super::interface::SessionId;
use super::record::MitigationKey;
use super::resolution::ResolutionError;

/// A decision of the server and its reason, one per request or event.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A certificate is valid, but nobody here is called what it says.
    NoCustomer {
        /// The session.
        session: SessionId,
        /// Who it is.
        peer: Peer,
    },
    /// The oldest session of a customer was closed: another one came up, and there were as many
    /// as the customer may have.
    TooManySessions {
        /// The session that was closed.
        session: SessionId,
        /// The customer.
        customer: String,
        /// How many it may have.
        limit: usize,
    },
    /// A mitigation was accepted.
    Accepted {
        /// Which.
        key: MitigationKey,
        /// For how long.
        lifetime: Lifetime,
    },
    /// A mitigation was prolonged.
    Refreshed {
        /// Which.
        key: MitigationKey,
        /// For how long.
        lifetime: Lifetime,
    },
    /// A client has told how it sees the attack on what is mitigated (RFC 9132 §4.4.3).
    Efficacy {
        /// Of which mitigation.
        key: MitigationKey,
        /// What it told.
        attack_status: AttackStatus,
    },
    /// A mitigation was withdrawn by its client.
    Withdrawn {
        /// Which.
        key: MitigationKey,
    },
    /// A mitigation is not in force any more, because another client's request for the same
    /// addresses is.
    Deactivated {
        /// Which.
        key: MitigationKey,
        /// After how many seconds its client may ask again.
        retry_timer: u32,
    },
    /// A mitigation that was deactivated is in force again.
    Reactivated {
        /// Which.
        key: MitigationKey,
    },
    /// All servers upstream have ended a mitigation that a gateway relayed, or cannot be asked for
    /// it any more.
    EndedUpstream {
        /// Which.
        key: MitigationKey,
        /// What the last of them answered, as a client would be told.
        code: Code,
        /// Its diagnostic payload.
        reason: String,
    },
    /// A mitigation was not taken up again after a restart: the customers are others now, or own
    /// something else.
    NotOwned {
        /// Which.
        key: MitigationKey,
        /// The first prefix that its customer does not own; `None`: there is no such customer.
        prefix: Option<TargetPrefix>,
    },
    /// A name of a mitigation was resolved to an address that its customer does not own. That
    /// address is left out, or a new request is refused (RFC 9132 §4.4.1.1).
    AddressNotOwned {
        /// Of which mitigation.
        key: MitigationKey,
        /// The name.
        name: DomainName,
        /// The first such address.
        address: IpAddr,
    },
    /// A name could not be resolved; what it stood for in mitigations stays in force.
    NotResolved {
        /// The name.
        name: DomainName,
        /// The customer of the first mitigation that uses it, or of the first request.
        customer: String,
        /// Why.
        error: ResolutionError,
    },
    /// A name of a mitigation stands for other addresses, which are in force now.
    Moved {
        /// Which mitigation.
        key: MitigationKey,
        /// The name.
        name: DomainName,
    },
    /// A customer is sent to another server, or taken back.
    Redirected {
        /// The customer.
        customer: String,
        /// The other server; `None`: this one serves it again.
        alt_server: Option<DomainName>,
    },
    /// A request was refused.
    Refused {
        /// The session it came on.
        session: SessionId,
        /// The customer, if the session belongs to one.
        customer: Option<String>,
        /// The code of the response.
        code: Code,
        /// The diagnostic payload; empty where the body is DOTS CBOR.
        reason: String,
    },
    /// An efficacy update for an unknown mitigation was left unanswered (RFC 9132 §4.4.3).
    Ignored {
        /// Which it named.
        key: MitigationKey,
    },
}

impl Outcome {
    /// The customer that caused it, if one did.
    pub fn customer(&self) -> Option<&str> {
        match self {
            Self::Accepted { key, .. }
            | Self::Refreshed { key, .. }
            | Self::Efficacy { key, .. }
            | Self::Withdrawn { key }
            | Self::Deactivated { key, .. }
            | Self::Reactivated { key }
            | Self::EndedUpstream { key, .. }
            | Self::NotOwned { key, .. }
            | Self::AddressNotOwned { key, .. }
            | Self::Moved { key, .. }
            | Self::Ignored { key } => Some(&key.customer),
            Self::TooManySessions { customer, .. }
            | Self::NotResolved { customer, .. }
            | Self::Redirected { customer, .. } => Some(customer),
            Self::Refused { customer, .. } => customer.as_deref(),
            Self::NoCustomer { .. } => None,
        }
    }
}
