//! One structured line for each decision.

use std::net::SocketAddr;

use agent::server::{Outcome, SessionId};
use agent::session::Event;
use coap::Code;
use dots::mitigation::AttackStatus;

use crate::words;

pub(super) fn decided(outcome: &Outcome) {
    match outcome {
        Outcome::NoCustomer { session, peer } => {
            tracing::warn!(%session, subject = %peer.credential, "a valid credential that belongs to no customer");
        }
        Outcome::TooManySessions {
            session,
            customer,
            limit,
        } => {
            tracing::warn!(%session, customer, limit, "the oldest session of the customer was closed to make room for another");
        }
        Outcome::Accepted { key, lifetime } => tracing::info!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            lifetime = words::of_lifetime(*lifetime),
            "mitigation accepted"
        ),
        Outcome::Refreshed { key, lifetime } => tracing::info!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            lifetime = words::of_lifetime(*lifetime),
            "mitigation prolonged"
        ),
        Outcome::Efficacy { key, attack_status } => tracing::info!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            attack_status = word_of(*attack_status),
            "efficacy update"
        ),
        Outcome::Withdrawn { key } => tracing::info!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            "mitigation withdrawn"
        ),
        Outcome::Deactivated { key, retry_timer } => tracing::warn!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            retry_timer,
            "mitigation deactivated: another client's request for the same addresses is in force"
        ),
        Outcome::Reactivated { key } => tracing::info!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            "mitigation in force again: the conflict is resolved"
        ),
        Outcome::EndedUpstream { key, code, reason } => tracing::warn!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            %code,
            reason,
            "mitigation ended: no server upstream has it any more"
        ),
        Outcome::NotOwned { key, prefix } => {
            let prefix = prefix.map(|prefix| prefix.to_string());
            tracing::warn!(
                customer = key.customer,
                cuid = ?key.cuid.as_str(),
                mid = %key.mid,
                prefix,
                "mitigation ended: after the restart this is no customer's, or not this prefix"
            );
        }
        Outcome::AddressNotOwned { key, name, address } => tracing::warn!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            %name,
            %address,
            "a name of a mitigation stands for an address that its customer does not own"
        ),
        Outcome::NotResolved {
            name,
            customer,
            error,
        } => tracing::warn!(customer, %name, %error, "a name cannot be resolved"),
        Outcome::Moved { key, name } => tracing::info!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            %name,
            "a name of a mitigation stands for other addresses"
        ),
        Outcome::Redirected {
            customer,
            alt_server,
        } => {
            let alt_server = alt_server.as_ref().map(|name| name.as_str());
            tracing::info!(
                customer,
                alt_server,
                "customer sent to this server, or taken back"
            );
        }
        // Only a redirect has this code and no reason for a person (RFC 9132 §4.6).
        Outcome::Refused {
            session,
            customer,
            code: Code::SERVICE_UNAVAILABLE,
            reason,
        } if reason.is_empty() => tracing::info!(%session, customer, "request redirected"),
        Outcome::Refused {
            session,
            customer,
            code,
            reason,
        } => tracing::info!(%session, customer, %code, reason, "request refused"),
        Outcome::Ignored { key } => tracing::info!(
            customer = key.customer,
            cuid = ?key.cuid.as_str(),
            mid = %key.mid,
            "efficacy update for an unknown mitigation left unanswered"
        ),
    }
}

fn word_of(attack_status: AttackStatus) -> &'static str {
    match attack_status {
        AttackStatus::UnderAttack => "under-attack",
        AttackStatus::AttackSuccessfullyMitigated => "attack-successfully-mitigated",
    }
}

/// Whether there is a line for this.
pub(super) fn is_of_session(event: &Event) -> bool {
    matches!(
        event,
        Event::Established(_) | Event::PeerSilent | Event::Closed(_)
    )
}

/// The beginning and the end of a session.
pub(super) fn session(session: SessionId, remote: SocketAddr, event: &Event) {
    match event {
        Event::Established(peer) => {
            tracing::info!(%session, %remote, subject = %peer.credential, resumed = peer.resumed, "session established");
        }
        Event::PeerSilent => tracing::warn!(%session, %remote, "the client is lost: it is silent"),
        Event::Closed(reason) => tracing::info!(%session, %remote, %reason, "session closed"),
        _ => {}
    }
}
