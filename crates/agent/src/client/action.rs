//! What the client wants done, stored and logged.

use std::net::{IpAddr, SocketAddr};

use dots::identifiers::{Cuid, Mid};
use dots::mitigation::{ConflictInformation, RequestError};
use dots::target::Target;
use dtls::Transport;
use pvd::InterfaceName;

use super::{PathId, RequestId, State};
use crate::relay::Relayed;
use crate::server_selection::{AssociationId, Attack, Selection};

/// What the client wants done, in this order.
#[derive(Debug)]
pub enum Action {
    /// Open a socket towards `remote`.
    OpenPath {
        /// How the socket is called from now on.
        path: PathId,
        /// UDP, or a TCP connection: what is sent before that is there waits.
        transport: Transport,
        /// Bind it to this interface.
        interface: Option<InterfaceName>,
        /// Bind it to this address.
        source: Option<IpAddr>,
        /// Connect it to this one.
        remote: SocketAddr,
    },
    /// Send a datagram, or the next chunk of a stream.
    Transmit(PathId, Vec<u8>),
    /// Close a socket.
    ClosePath(PathId),
    /// Find the addresses of a server, with the name servers of the PvD, and answer with
    /// [`Client::handle_resolved`](super::Client::handle_resolved).
    Resolve {
        /// For whom.
        association: AssociationId,
        /// The name.
        name: String,
    },
    /// Make it durable.
    Persist(Change),
    /// Something to log.
    Noted(Note),
}

/// A change of what must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What is known about a server.
    PutAssociation(AssociationRecord),
    /// A server that is named no more is forgotten.
    DeleteAssociation(AssociationId),
    /// A part of a request is wanted, or is being withdrawn.
    PutRequest(RequestRecord),
    /// Something is wanted, whoever is asked for it, or for another time than before.
    PutWanted(WantedRecord),
    /// It is not wanted any more.
    DeleteWanted(RequestId),
    /// A part of a request is over.
    DeleteRequest(RequestId, AssociationId, Mid),
}

/// What a client must remember about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationRecord {
    /// The server.
    pub association: AssociationId,
    /// The client's identifier there; another one than the credentials give after a collision.
    pub cuid: Cuid,
    /// No mid from here on was ever used.
    pub reserved_mid: Mid,
}

/// What a client must remember of a request, besides who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRecord {
    /// The request.
    pub id: RequestId,
    /// What is to be protected.
    pub attack: Attack,
    /// False: only to be started once the session is lost (RFC 9132 §4.4.1.1).
    pub trigger_mitigation: bool,
    /// Until when it is wanted, in seconds since 1970; `None`: until it is withdrawn.
    pub wanted_until_unix: Option<u64>,
    /// How it is relayed, if it is a gateway's.
    pub relayed: Relayed,
}

/// What a client takes up again after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// In the order of their names.
    pub associations: Vec<AssociationRecord>,
    /// In the order of their numbers.
    pub wanted: Vec<WantedRecord>,
    /// In the order of request, association and mid.
    pub requests: Vec<RequestRecord>,
}

/// What a client must remember about a part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The request.
    pub id: RequestId,
    /// The server that was asked.
    pub association: AssociationId,
    /// Its number there. A request that is too large for one message has several.
    pub mid: Mid,
    /// What was asked under this number.
    pub target: Target,
    /// False: only to be started once the session is lost (RFC 9132 §4.4.1.1).
    pub trigger_mitigation: bool,
    /// Until when it is wanted, in seconds since 1970; `None`: until it is withdrawn.
    pub wanted_until_unix: Option<u64>,
    /// It was withdrawn, and the server may not know yet.
    pub withdrawing: bool,
    /// Whether the server has granted it, and that is not known to be over.
    pub granted: bool,
    /// When the server ends what it granted, and has it no more in any case when it is withdrawn, in
    /// seconds since 1970; `None`: never, or not known.
    pub expires_unix: Option<u64>,
    /// The server of the same PvD, or of another attachment to its provider, that is asked instead.
    pub moved_to: Option<AssociationId>,
    /// When the server may be asked again, as it said, in seconds since 1970.
    pub not_before_unix: Option<u64>,
}

/// What happened, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A session came up.
    SessionUp(AssociationId, Peer),
    /// A session or an attempt ended, and why.
    SessionDown(AssociationId, Peer, String),
    /// A part of a request changed its state.
    Request(RequestId, AssociationId, Mid, State),
    /// The server reports another conflict of a part than before; `None`: none any more
    /// (RFC 9132 §4.4.2.1).
    Conflict(RequestId, AssociationId, Mid, Option<ConflictInformation>),
    /// A part that went on when the client was stopped, at a server that it does not know any more: it is asked for, or
    /// withdrawn, when the server is named again.
    Absent(RequestId, AssociationId, Mid),
    /// The server sends its client elsewhere (RFC 9132 §4.6).
    Redirect(AssociationId, Redirection),
}

/// Where a session leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Over what.
    pub transport: Transport,
    /// To which address.
    pub address: SocketAddr,
}

/// What became of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirection {
    /// Another server is asked from now on.
    Followed {
        /// Its name.
        to: String,
    },
    /// It is not followed, because that server was contacted within the last five minutes: the
    /// servers may be redirecting in circles.
    Ignored {
        /// Its name.
        to: String,
    },
    /// The provisioned server is asked again.
    Left {
        /// The name of the other one.
        from: String,
        /// Why.
        reason: String,
    },
}

/// Why a request could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No server may be asked to protect any of the targets.
    #[error("no DOTS server can protect any of these targets")]
    NobodyToAsk(Selection),
    /// No message can express it.
    #[error("{association} cannot be asked for this: {error}")]
    Unsayable {
        /// The server.
        association: AssociationId,
        /// Why not.
        error: RequestError,
    },
    /// It would take too many messages.
    #[error("{association} cannot be asked for so many targets at once; name fewer, or wider ones")]
    TooManyTargets {
        /// The server.
        association: AssociationId,
    },
    /// The client has as many requests as it may.
    #[error("there are {0} requests already, which is the limit; withdraw one first")]
    TooManyRequests(usize),
    /// There is no such request.
    #[error("there is no request {0} going on; `moat status` lists them")]
    NoSuchRequest(RequestId),
    /// No server mitigates for it, so there is no efficacy to tell of.
    #[error("no server has accepted request {0}; `moat status` shows how it stands")]
    NoSuchMitigation(RequestId),
}
