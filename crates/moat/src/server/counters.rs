//! What the server has seen, counted: nothing that is dropped or refused goes without a number.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use agent::server::SessionId;
use dtls::{DoorCounters, Transport};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::message::ToShard;
use crate::control::Command;

/// What one socket, or all together, have seen and hold.
#[derive(Clone, Debug, Default)]
pub(super) struct ShardReport {
    pub(super) counters: ShardCounters,
    /// The peer of each session.
    pub(super) peers: BTreeMap<SessionId, (SocketAddr, Transport)>,
}

impl ShardReport {
    /// What two sockets have and hold together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.counters = self.counters.and(other.counters);
        self.peers.extend(other.peers);
        self
    }
}

/// What a command needs to know of the sockets; the peers of all sessions are many.
pub(super) async fn report_for(
    command: &Command,
    shards: &[UnboundedSender<ToShard>],
) -> ShardReport {
    match command {
        Command::Sessions => report(shards).await,
        _ => ShardReport::default(),
    }
}

/// What all sockets have seen and hold.
async fn report(shards: &[UnboundedSender<ToShard>]) -> ShardReport {
    let mut sum = ShardReport::default();
    for shard in shards {
        let (answer, report) = oneshot::channel();
        // A socket that has stopped holds nothing any more.
        if shard.send(ToShard::Report(answer)).is_ok() {
            sum = sum.and(report.await.unwrap_or_default());
        }
    }
    sum
}

/// What one socket has seen.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct ShardCounters {
    /// Datagrams of sources without a session that begin none.
    pub(super) stray_datagrams: u64,
    /// ClientHellos answered with a cookie.
    pub(super) cookies_sent: u64,
    /// ClientHellos with a wrong or outdated cookie.
    pub(super) wrong_cookies: u64,
    /// ClientHellos with a right cookie.
    pub(super) handshakes_begun: u64,
    /// Sessions that a limit refused.
    pub(super) sessions_refused: u64,
    /// Sessions that came up.
    pub(super) sessions_established: u64,
    /// Sessions that ended over a fault, as a certificate that was refused.
    pub(super) sessions_failed: u64,
    /// Requests dropped because the authority was busy; their clients repeat them.
    pub(super) requests_dropped: u64,
    /// Messages in sessions that were no CoAP.
    pub(super) malformed_messages: u64,
    /// Answers that their peers could not take.
    pub(super) unsendable_answers: u64,
}

impl ShardCounters {
    /// Takes over what the door counts itself.
    pub(super) fn with_door(self, door: DoorCounters) -> Self {
        Self {
            stray_datagrams: door.dropped,
            cookies_sent: door.challenged + door.wrong_cookie,
            wrong_cookies: door.wrong_cookie,
            handshakes_begun: door.verified,
            ..self
        }
    }

    /// What two sockets have seen together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            stray_datagrams: self.stray_datagrams + other.stray_datagrams,
            cookies_sent: self.cookies_sent + other.cookies_sent,
            wrong_cookies: self.wrong_cookies + other.wrong_cookies,
            handshakes_begun: self.handshakes_begun + other.handshakes_begun,
            sessions_refused: self.sessions_refused + other.sessions_refused,
            sessions_established: self.sessions_established + other.sessions_established,
            sessions_failed: self.sessions_failed + other.sessions_failed,
            requests_dropped: self.requests_dropped + other.requests_dropped,
            malformed_messages: self.malformed_messages + other.malformed_messages,
            unsendable_answers: self.unsendable_answers + other.unsendable_answers,
        }
    }
}

/// What the authority has decided.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct AuthorityCounters {
    /// Mitigations accepted.
    pub(super) accepted: u64,
    /// Mitigations prolonged.
    pub(super) refreshed: u64,
    /// Efficacy updates that tell of an attack that goes on (RFC 9132 §4.4.3).
    pub(super) told_under_attack: u64,
    /// Efficacy updates that tell of an attack that is mitigated.
    pub(super) told_mitigated: u64,
    /// Mitigations withdrawn by their clients.
    pub(super) withdrawn: u64,
    /// Efficacy updates for unknown mitigations, left unanswered.
    pub(super) ignored: u64,
    /// Requests refused, by response code.
    pub(super) refused: BTreeMap<String, u64>,
    /// Batches of changes made durable, with one fsync each.
    pub(super) commits: u64,
    /// Changes in these batches.
    pub(super) changes_committed: u64,
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn only_who_asks_for_sessions_has_the_sockets_tell_them() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (shard, mut messages) = unbounded_channel();
        let shards = [shard];
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = report_for(&Command::Status, &shards) => {}
                () = std::future::ready(()) => panic!("the sockets are asked"),
            }
        });
        assert!(messages.try_recv().is_err());
        runtime.block_on(async {
            let answered = async {
                let Some(ToShard::Report(answer)) = messages.recv().await else {
                    panic!("the socket was not asked");
                };
                answer.send(ShardReport {
                    counters: ShardCounters {
                        handshakes_begun: 7,
                        ..ShardCounters::default()
                    },
                    ..ShardReport::default()
                })
            };
            let (report, _) = tokio::join!(report_for(&Command::Sessions, &shards), answered);
            assert_eq!(report.counters.handshakes_begun, 7);
        });
    }
}
