//! The one place that decides and promises. It takes what has come in, decides it all, makes it
//! durable with one commit, and only then lets the answers go (ARCHITECTURE.md, invariant 2).

use std::time::Duration;

use agent::server::{Action, Input, Outcome, Server, SessionId};
use dots::mitigation::AttackStatus;
use serde_json::json;
use store::ServerStore;
use tokio::sync::mpsc::UnboundedSender;

use super::Error;
use super::behind::Behind;
use super::counters::{AuthorityCounters, ShardReport};
use super::inputs::Waiting;
use super::log;
use super::log_limit::LogLimits;
use super::message::{Scope, ToAuthority, ToShard};
use super::names::Lookup;
use crate::clock::Clock;
use crate::control::{Answer, Call, Command, MitigationView, ServerSessionView};

/// Inputs decided together and made durable with one commit.
const BATCH: usize = 512;
/// What takes longer to decide is a batch, too: others wait for its end.
const LONGEST_BATCH: Duration = Duration::from_millis(20);
/// The longest wait without an input or a timer.
const IDLE: Duration = Duration::from_secs(60);

/// The agent, its store, and the ways to everybody else.
#[derive(Debug)]
pub(super) struct Authority<S> {
    pub(super) server: Server,
    pub(super) store: S,
    pub(super) clock: Clock,
    pub(super) waiting: Waiting,
    pub(super) shards: Vec<UnboundedSender<ToShard>>,
    pub(super) behind: Behind,
    pub(super) names: UnboundedSender<Lookup>,
    pub(super) counters: AuthorityCounters,
    pub(super) lines: LogLimits,
}

impl<S: ServerStore> Authority<S> {
    /// Runs until told to stop.
    ///
    /// # Errors
    /// When nothing can be made durable any more: then nothing may be promised either.
    pub(super) fn run(mut self) -> Result<(), Error> {
        self.carry_out()?;
        loop {
            let mut calls = Vec::new();
            let goes_on = self.take_batch(&mut calls)?;
            let now = self.clock.now();
            // Also where nothing is due: the server looks at the clocks.
            self.server.handle(now, Input::Timeout);
            self.carry_out()?;
            // Whoever asks is told only what is durable.
            for (call, report) in calls {
                self.answer(call, &report);
            }
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Waits for an input or a timer, then takes what else has come. False: it is time to stop.
    fn take_batch(&mut self, calls: &mut Vec<(Call, ShardReport)>) -> Result<bool, Error> {
        let wait = self.server.poll_timeout().map_or(IDLE, |at| {
            at.saturating_duration_since(self.clock.now().monotonic)
        });
        let Some(mut next) = self.waiting.wait(wait) else {
            return Ok(true);
        };
        let end = self.clock.now().monotonic + LONGEST_BATCH;
        let mut taken = 0;
        loop {
            match next {
                ToAuthority::Input(input) => self.server.handle(self.clock.now(), input),
                ToAuthority::Call(call, report) => calls.push((call, report)),
                ToAuthority::SocketFailed(error) => return Err(Error::Socket(error)),
                ToAuthority::Stop => return Ok(false),
            }
            taken += 1;
            if taken == BATCH || self.clock.now().monotonic >= end {
                return Ok(true);
            }
            match self.waiting.take() {
                Some(another) => next = another,
                None => return Ok(true),
            }
        }
    }

    /// One commit for all promises of the batch, then its answers, then its filters.
    fn carry_out(&mut self) -> Result<(), Error> {
        let mut changes = Vec::new();
        let mut messages = Vec::new();
        let mut scopes = Vec::new();
        let mut names = Vec::new();
        let mut outcomes = Vec::new();
        while let Some(action) = self.server.poll_action() {
            match action {
                Action::Persist(change) => changes.push(change),
                Action::Respond(session, exchange, response) => {
                    messages.push((session, ToShard::Respond(session, exchange, response)));
                }
                Action::Ignore(session, exchange) => {
                    messages.push((session, ToShard::Ignore(session, exchange)));
                }
                Action::Notify(session, token, response) => {
                    messages.push((session, ToShard::Notify(session, token, response)));
                }
                Action::SetMitigating(session, is_mitigating) => {
                    messages.push((session, ToShard::SetMitigating(session, is_mitigating)));
                }
                Action::Close(session) => messages.push((session, ToShard::Close(session))),
                Action::Resolve { name, customer } => names.push(Lookup { name, customer }),
                Action::Enforce(enforcement, target) => {
                    scopes.push(Scope::Enforce(enforcement, target));
                }
                Action::Withdraw(enforcement) => scopes.push(Scope::Withdraw(enforcement)),
                Action::Decided(outcome) => outcomes.push(outcome),
            }
        }
        if !changes.is_empty() {
            self.store.commit(&changes)?;
            self.counters.commits += 1;
            self.counters.changes_committed += changes.len() as u64;
        }
        // Who is behind is the slower of the two, and told first.
        self.behind.tell(changes, scopes, &outcomes)?;
        for name in names {
            // Once the server stops nobody looks anything up.
            drop(self.names.send(name));
        }
        for (session, message) in messages {
            self.send(session, message);
        }
        // Nothing is said to have happened before it is durable.
        for outcome in &outcomes {
            self.count(outcome);
            let now = self.clock.now().monotonic;
            if self.lines.allows(now, outcome.customer()) {
                log::decided(outcome);
            }
        }
        Ok(())
    }

    fn count(&mut self, outcome: &Outcome) {
        let counters = &mut self.counters;
        match outcome {
            Outcome::Accepted { .. } => counters.accepted += 1,
            Outcome::Refreshed { .. } => counters.refreshed += 1,
            Outcome::Efficacy { attack_status, .. } => match attack_status {
                AttackStatus::UnderAttack => counters.told_under_attack += 1,
                AttackStatus::AttackSuccessfullyMitigated => counters.told_mitigated += 1,
            },
            Outcome::Withdrawn { .. } => counters.withdrawn += 1,
            Outcome::Ignored { .. } => counters.ignored += 1,
            Outcome::Refused { code, .. } => {
                *counters.refused.entry(code.to_string()).or_default() += 1;
            }
            Outcome::NoCustomer { .. }
            | Outcome::TooManySessions { .. }
            | Outcome::Deactivated { .. }
            | Outcome::Reactivated { .. }
            | Outcome::EndedUpstream { .. }
            | Outcome::NotOwned { .. }
            | Outcome::AddressNotOwned { .. }
            | Outcome::NotResolved { .. }
            | Outcome::Moved { .. }
            | Outcome::Redirected { .. } => {}
        }
    }

    fn send(&self, session: SessionId, message: ToShard) {
        let shards = self.shards.len().max(1) as u64;
        let shard = usize::try_from(session.0 % shards).unwrap_or(0);
        // A shard that has stopped has no sessions left to answer on.
        if let Some(shard) = self.shards.get(shard) {
            drop(shard.send(message));
        }
    }

    fn answer(&self, call: Call, report: &ShardReport) {
        let answer = match call.command {
            Command::Status => Answer::of(&json!({
                "mitigations": self
                    .server
                    .report(self.clock.now())
                    .iter()
                    .map(|(key, status)| MitigationView::new(key, status))
                    .collect::<Vec<_>>(),
            })),
            Command::Sessions => Answer::of(&json!({
                "sessions": self
                    .server
                    .sessions()
                    .map(|(session, customer)| {
                        let peer = report.peers.get(&session).copied();
                        ServerSessionView::new(session, customer, peer)
                    })
                    .collect::<Vec<_>>(),
                "sockets": report.counters,
                "requests": self.counters,
            })),
            Command::Mitigate { .. }
            | Command::Efficacy { .. }
            | Command::Withdraw { .. }
            | Command::Explain { .. }
            | Command::Announce { .. } => Answer::failure(
                &"this is the control socket of a server, and only a client asks for \
                      mitigation; name the client's socket with --control",
            ),
        };
        // A caller that has gone away needs no answer.
        drop(call.answer.send(answer));
    }
}
