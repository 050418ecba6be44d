//! What the server is told of each mitigation inside: what has changed.
//!
//! ```text
//! current request   older requests             the server is told
//! accepted          withdrawn once all answer  accepted
//! no answer yet     protect what they cover    accepted where they do, else nothing
//! refused           one comes back             accepted where it does, else refused
//! ```

use crate::client::{Client, Connector, RequestId};
use crate::server::{Acceptance, Upstream};
use crate::time::Now;

use super::combination::{Combined, combine, covers, refusal};
use super::grouping::GroupId;
use super::{Gateway, Note, Output};

impl Gateway {
    /// Tells the server how those stand of whom something may have changed.
    pub(super) fn tell<C: Connector>(&mut self, now: Now, client: &mut Client<C>) {
        let mut told = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            self.tell_group(now, client, id, &mut told);
        }
        if !told.is_empty() {
            self.outputs.push_back(Output::Tell(told));
        }
        self.withdraw_unwanted(now, client);
    }

    fn tell_group<C: Connector>(
        &mut self,
        now: Now,
        client: &Client<C>,
        id: GroupId,
        told: &mut Vec<(Acceptance, Upstream)>,
    ) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let Some(current) = group.current else {
            return;
        };
        let Some(report) = client.request(current) else {
            return;
        };
        let (hop_limit, target) = (group.hop_limit, group.target.clone());
        let members: Vec<Acceptance> = group.members.iter().cloned().collect();
        for member in members {
            let Some(wanted) = self.members.get(&member).map(|it| it.wanted.clone()) else {
                continue;
            };
            let said = match combine(now, &report, &wanted.target) {
                Combined::Accepted(status) => Some(Upstream::Accepted(status)),
                Combined::Pending => self.with_older(now, client, id, &member),
                Combined::Over(parts) => {
                    let older = self.with_older(now, client, id, &member);
                    older.or_else(|| {
                        let refused = refusal(&self.terms.relay, &parts, &wanted.target);
                        if let Some(path) = refused.own_loop {
                            let key = member.key.clone();
                            let note = Note::Loop { key, path };
                            self.outputs.push_back(Output::Noted(note));
                        }
                        // Asked for without those who have come too far, it may succeed.
                        let is_to_blame = !refused.is_hop_limit || wanted.hop_limit == hop_limit;
                        is_to_blame.then_some(Upstream::Refused(refused.response))
                    })
                }
            };
            if let (Some(said), Some(known)) = (said, self.members.get_mut(&member))
                && is_news(known.told.as_ref(), &said)
            {
                known.told = Some(said.clone());
                told.push((member, said));
            }
        }
        match combine(now, &report, &target) {
            Combined::Accepted(status) if status.is_complete => self.drop_older(id),
            Combined::Over(_) => self.fall_back(now, client, id),
            // That a refresh is answered is no news of the client's.
            Combined::Accepted(_) => drop(self.renewing.insert(id)),
            Combined::Pending => {}
        }
    }

    /// How a member stands with a request from before that is for all it wants.
    fn with_older<C: Connector>(
        &self,
        now: Now,
        client: &Client<C>,
        id: GroupId,
        member: &Acceptance,
    ) -> Option<Upstream> {
        let target = &self.members.get(member)?.wanted.target;
        let older = self.groups.get(id)?.older.iter().rev();
        let mut accepted = older.filter_map(|request| {
            let asked = self.requests.get(*request)?;
            let report = client
                .request(*request)
                .filter(|_| covers(&asked.target, target))?;
            match combine(now, &report, target) {
                Combined::Accepted(status) => Some(Upstream::Accepted(status)),
                _ => None,
            }
        });
        accepted.next()
    }

    /// The current request is accepted: those from before are not needed.
    fn drop_older(&mut self, id: GroupId) {
        if let Some(group) = self.groups.get_mut(id) {
            for request in std::mem::take(&mut group.older) {
                self.requests.release(request, id);
            }
        }
    }

    /// The current request is refused everywhere: the last that is accepted goes on.
    fn fall_back<C: Connector>(&mut self, now: Now, client: &Client<C>, id: GroupId) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let Some(failed) = group.current else {
            return;
        };
        if let Some(asked) = self.requests.get_mut(failed) {
            asked.is_over = true;
        }
        let is_accepted = |request: &&RequestId| {
            let report = client.request(**request);
            report
                .is_some_and(|it| matches!(combine(now, &it, &group.target), Combined::Accepted(_)))
        };
        if let Some(found) = group.older.iter().rev().find(is_accepted).copied() {
            group.older.retain(|request| *request != found);
            group.current = Some(found);
            self.requests.release(failed, id);
        }
    }
}

/// Whether the server has to hear it. That a lifetime runs down is none.
fn is_news(told: Option<&Upstream>, said: &Upstream) -> bool {
    match (told, said) {
        (Some(Upstream::Accepted(told)), Upstream::Accepted(said)) => {
            let is_longer = told.lifetime.is_some() && told.lifetime < said.lifetime;
            is_longer
                || (told.status, told.dropped, told.is_complete)
                    != (said.status, said.dropped, said.is_complete)
        }
        (told, said) => told != Some(said),
    }
}
