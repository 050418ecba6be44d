//! What a server is told, and what it wants done.

use std::collections::BTreeMap;

use coap::{Exchange, Request, Response, Token};
use dots::target::{DomainName, Target};
use dtls::{CloseReason, Peer};

use super::outcome::Outcome;
use super::record::{Enforcement, MitigationKey, MitigationRecord};
use super::redirect::Redirect;
use super::resolution::{Resolution, ResolutionError};
use super::resources::{ClientKey, ClientResources};
use super::upstream::{Acceptance, Upstream};
use crate::session::Event;

/// A session of a server, numbered by [`Sessions`](super::Sessions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

impl std::fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// What a server is told.
#[derive(Debug)]
pub enum Input {
    /// A session was established with this authenticated peer.
    Established(SessionId, Peer),
    /// A request came.
    Request {
        /// On which session.
        session: SessionId,
        /// To be handed back with the response.
        exchange: Exchange,
        /// The token of the request.
        token: Token,
        /// The request.
        request: Request,
    },
    /// A peer rejected a notification (RFC 7641 §3.6).
    NotificationRejected(SessionId, Token),
    /// The client is lost: nothing came for `missing-hb-allowed` heartbeats (RFC 9132 §4.7).
    SessionLost(SessionId),
    /// The session ended without a word of the client, which may come back.
    SessionBroken(SessionId),
    /// The client, or its session, ended in order.
    SessionClosed(SessionId),
    /// The mitigator enforces these.
    Enforced(Vec<Enforcement>),
    /// The mitigator cannot enforce these, at least for now.
    NotEnforced(Vec<Enforcement>),
    /// What the mitigator has dropped so far: packets and bytes.
    Dropped(BTreeMap<Enforcement, (u64, u64)>),
    /// How these stand at the servers that this one relays them to: a gateway.
    Upstream(Vec<(Acceptance, Upstream)>),
    /// What a resolver found, asked by [`Action::Resolve`].
    Resolved(DomainName, Result<Resolution, ResolutionError>),
    /// What a client has set up over the data channel, in place of what it had.
    SetResources(ClientKey, ClientResources),
    /// The operator sends a customer elsewhere, or takes it back.
    SetRedirect(String, Option<Redirect>),
    /// The instant of [`Server::poll_timeout`](super::Server::poll_timeout) has come.
    Timeout,
}

impl Input {
    /// What an event of a session means to the server, if anything: a server asks its clients
    /// nothing but heartbeats, so no response is for it.
    pub fn from_event(session: SessionId, event: Event) -> Option<Self> {
        match event {
            Event::Established(peer) => Some(Self::Established(session, peer)),
            Event::Request {
                exchange,
                token,
                request,
            } => Some(Self::Request {
                session,
                exchange,
                token,
                request,
            }),
            Event::NotificationRejected { token } => {
                Some(Self::NotificationRejected(session, token))
            }
            Event::PeerSilent => Some(Self::SessionLost(session)),
            Event::Closed(CloseReason::Local | CloseReason::PeerClosed) => {
                Some(Self::SessionClosed(session))
            }
            Event::Closed(_) => Some(Self::SessionBroken(session)),
            Event::Response { .. } | Event::RequestFailed { .. } => None,
        }
    }
}

/// What a server wants done, in this order.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most actions belong to a change, and none lives long"
)]
pub enum Action {
    /// Make it durable before any later [`Action::Respond`] is carried out.
    Persist(Change),
    /// Answer a request.
    Respond(SessionId, Exchange, Response),
    /// Leave a request without an answer (RFC 9132 §4.4.3).
    Ignore(SessionId, Exchange),
    /// Tell an observer.
    Notify(SessionId, Token, Response),
    /// Find the addresses of a name. Each gets its [`Input::Resolved`], however late: until then it takes a
    /// place of those that its customer may have ([`Policy::max_lookups_of_customer`]).
    ///
    /// [`Policy::max_lookups_of_customer`]: super::Policy::max_lookups_of_customer
    Resolve {
        /// Which.
        name: DomainName,
        /// The name of the customer on whose behalf.
        customer: String,
    },
    /// Have the mitigator stop traffic to this scope, in place of what it was before.
    Enforce(Enforcement, Target),
    /// Have the mitigator let it pass again.
    Withdraw(Enforcement),
    /// Whether the client of a session has a mitigation in force: the session then goes by the
    /// other set of parameters (RFC 9132 §4.5).
    SetMitigating(SessionId, bool),
    /// End a session whose client is lost, or that has to make room for another.
    Close(SessionId),
    /// A decision, for the log.
    Decided(Outcome),
}

/// A change of what must survive a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most changes are the large one, and none lives long"
)]
pub enum Change {
    /// A mitigation is promised, or its promise has changed.
    Put(MitigationRecord),
    /// A mitigation is over.
    Delete(MitigationKey),
    /// What a client has set up, in place of what it had; nothing, if it is empty.
    PutResources(ClientKey, ClientResources),
}
