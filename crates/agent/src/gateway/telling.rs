//! What the server is told of each mitigation inside: what has changed.
//!
//! ```text
//! a server upstream has          the current request          only an older one
//! accepted                       older ones are withdrawn     it goes on there
//! refused, not answered          nobody is protected there    it goes on there
//! none has answered              both are kept: the current one may be refused
//!
//! refused everywhere, and no older one goes on: who is to blame is refused; without him the others are asked for anew
//! ```

use std::collections::BTreeSet;

use crate::client::{Client, Connector, RequestId, RequestReport, State};
use crate::server::{Acceptance, Deactivation, Upstream};
use crate::time::Now;

use super::asking::Asked;
use super::combination::{Combined, combine, covers, is_needed, standing};
use super::grouping::{Group, GroupId};
use super::refusal::{Because, Refused, conflicting, later, refusal};
use super::{Gateway, Note, Output};

/// Unanswered requests that are kept beside the current one of a group: no loop has more rounds (RFC 8768 §3).
const MOST_UNANSWERED: usize = 255;

impl Gateway {
    /// Tells the server how those stand of whom something may have changed.
    pub(super) fn tell<C: Connector>(&mut self, now: Now, client: &mut Client<C>) {
        let mut told = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            self.tell_group(client, id, &mut told);
        }
        if !told.is_empty() {
            self.outputs.push_back(Output::Tell(told));
        }
        self.withdraw_unwanted(now, client);
    }

    fn tell_group<C: Connector>(
        &mut self,
        client: &Client<C>,
        id: GroupId,
        told: &mut Vec<(Acceptance, Upstream)>,
    ) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let current = group.current.and_then(|it| client.request(it));
        let Some(current) = current else {
            return;
        };
        let older = group.older.iter().rev().filter_map(|request| {
            let asked = self.requests.get(*request)?;
            Some((asked, client.request(*request)?))
        });
        let older: Vec<(&Asked, RequestReport)> = older.collect();
        let mut said = Vec::new();
        let mut over = Vec::new();
        for id in &group.members {
            let Some(member) = self.members.get(id) else {
                continue;
            };
            let wanted = &member.wanted;
            let whole = older.iter().filter(|(asked, report)| {
                // Which goes farther than it may says nothing before it is accepted.
                let is_as_far = asked.hop_limit <= wanted.hop_limit || is_accepted(report);
                is_as_far && covers(&asked.target, &wanted.target)
            });
            let whole = whole.map(|(_, report)| report);
            let upstream = match combine(standing(&current, whole, &wanted.target)) {
                Combined::Accepted(status) => Upstream::Accepted(status),
                Combined::Pending if member.told.is_none() => continue,
                Combined::Pending => Upstream::Pending,
                Combined::Deactivated { retry, conflict } => {
                    let conflict = conflict.cloned().unwrap_or_default();
                    let conflict = conflicting(&self.terms, &conflict, wanted);
                    Upstream::Deactivated(Deactivation { conflict, retry })
                }
                Combined::Over(parts) => {
                    let is_alone = group.members.len() == 1;
                    over.push((id.clone(), refusal(&self.terms, &parts, wanted, is_alone)));
                    continue;
                }
            };
            said.push((id.clone(), upstream));
        }
        let own_loop = over.iter().find_map(|(_, it)| it.own_loop.clone());
        said.extend(self.blamed(group, over));
        let needed = older
            .iter()
            .filter(|(_, report)| is_needed(report, &current));
        // What is not answered yet may take the place of the current one. In a loop of gateways, each round has one.
        let is_open = !is_accepted(&current);
        let open = older
            .iter()
            .filter(|(_, report)| is_open && is_asked(report));
        let needed = needed.chain(open.take(MOST_UNANSWERED));
        let needed = needed.map(|(_, report)| report.id);
        let needed: BTreeSet<RequestId> = needed.collect();
        match combine(standing(&current, std::iter::empty(), &group.target)) {
            // That a refresh is answered is no news of the client's.
            Combined::Accepted(status) if !status.is_complete => drop(self.renewing.insert(id)),
            Combined::Over(_) => self.fall_back(client, id),
            _ => {}
        }
        self.leave_older(id, &needed);
        for (member, said) in said {
            let Some(known) = self.members.get_mut(&member) else {
                continue;
            };
            if known.told.as_ref() == Some(&said) {
                continue;
            }
            known.told = Some(said.clone());
            if let (Upstream::Refused(_), Some(path)) = (&said, &own_loop) {
                let (key, path) = (member.key.clone(), path.clone());
                let note = Note::Loop { key, path };
                self.outputs.push_back(Output::Noted(note));
            }
            told.push((member, said));
        }
    }

    /// Who is refused of those that nobody protects. Of several the widest is the first to be left out, for servers refuse
    /// what is beyond a prefix; of equals the newest.
    fn blamed(
        &self,
        group: &Group,
        over: Vec<(Acceptance, Refused)>,
    ) -> Vec<(Acceptance, Upstream)> {
        let is_alone = over.len() == 1;
        let suspect = over.iter().map(|(id, _)| id);
        let suspect = suspect.max_by_key(|id| (self.width_of(id), id.accepted));
        let suspect = suspect.cloned();
        let blamed = over.into_iter().filter_map(|(id, refused)| {
            let member = self.members.get(&id)?;
            let response = match refused.because {
                Because::HopLimit if member.wanted.hop_limit > group.hop_limit => return None,
                // Whose request is wrong is not known: he is asked for alone when he asks again.
                Because::Request if !is_alone && suspect.as_ref() == Some(&id) => {
                    later("what others ask for, too, was refused together with it")
                }
                Because::Request if !is_alone => return None,
                _ => refused.response,
            };
            Some((id, Upstream::Refused(response)))
        });
        blamed.collect()
    }

    /// The most bits that addresses of a prefix differ in.
    fn width_of(&self, id: &Acceptance) -> u8 {
        let member = self.members.get(id).into_iter();
        let nets = member.flat_map(|member| &member.wanted.target.prefixes);
        let nets = nets.map(|prefix| prefix.net());
        let widths = nets.map(|net| net.max_prefix_len().saturating_sub(net.prefix_len()));
        widths.max().unwrap_or_default()
    }

    /// Which requests from before are of use beside the current one.
    fn leave_older(&mut self, id: GroupId, needed: &BTreeSet<RequestId>) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        for request in group.older.extract_if(.., |it| !needed.contains(it)) {
            self.requests.release(request, id);
        }
    }

    /// The current request is refused everywhere: the last that is accepted goes on.
    fn fall_back<C: Connector>(&mut self, client: &Client<C>, id: GroupId) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let Some(failed) = group.current else {
            return;
        };
        if let Some(asked) = self.requests.get_mut(failed) {
            asked.is_over = true;
        }
        let is_accepted =
            |request: &&RequestId| client.request(**request).is_some_and(|it| is_accepted(&it));
        if let Some(found) = group.older.iter().rev().find(is_accepted).copied() {
            group.older.retain(|request| *request != found);
            group.current = Some(found);
            self.requests.release(failed, id);
        }
    }
}

/// Whether a server protects with it.
fn is_accepted(request: &RequestReport) -> bool {
    let mut parts = request.parts.iter();
    parts.any(|part| matches!(part.state, State::Accepted(_)))
}

/// Whether the answer of a server is awaited.
fn is_asked(request: &RequestReport) -> bool {
    let mut parts = request.parts.iter();
    parts.any(|part| part.state == State::Asking)
}
