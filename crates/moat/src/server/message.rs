//! What shards, authority and enforcer tell each other.

use agent::server::{Enforcement, Input, SessionId};
use coap::{Exchange, Response, Token};
use dots::target::Target;
use tokio::sync::oneshot;

use super::counters::ShardReport;
use crate::control::Call;

/// What the authority is told.
#[derive(Debug)]
pub(super) enum ToAuthority {
    /// From a session or the enforcer.
    Input(Input),
    /// From the control socket, with what the sockets have seen and hold if it asks for that.
    Call(Call, ShardReport),
    /// A socket cannot be used any more.
    SocketFailed(std::io::Error),
    /// The server is to stop.
    Stop,
}

/// What the enforcer is told.
#[derive(Debug)]
pub(crate) enum Scope {
    /// Stop traffic to this target.
    Enforce(Enforcement, Target),
    /// Let it pass again.
    Withdraw(Enforcement),
}

/// What a shard is told.
#[derive(Debug)]
pub(super) enum ToShard {
    Respond(SessionId, Exchange, Response),
    Ignore(SessionId, Exchange),
    Notify(SessionId, Token, Response),
    SetMitigating(SessionId, bool),
    Close(SessionId),
    /// Tell what the socket has seen and holds.
    Report(oneshot::Sender<ShardReport>),
}
