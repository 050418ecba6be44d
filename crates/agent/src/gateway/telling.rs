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

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Client, Connector, RequestId};
use crate::server::{Acceptance, Deactivation, Upstream};
use crate::time::Now;

use super::combination::{Combined, Reports};
use super::grouping::{Group, GroupId};
use super::member::Wanted;
use super::refusal::{Because, Refused, conflicting, is_about_others, later, refusal};
use super::{Gateway, Note, Output};

/// What the server is told of a member.
type Said = (Acceptance, Upstream);

/// Why nothing is to be expected for a member.
type Over = (Acceptance, Refused);

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

    fn tell_group<C: Connector>(&mut self, client: &Client<C>, id: GroupId, told: &mut Vec<Said>) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let Some(reports) = Reports::of(group, &self.requests, client) else {
            return;
        };
        let (mut said, over) = self.judge(group, &reports);
        let loops = over
            .iter()
            .filter_map(|(id, it)| Some((id.clone(), it.own_loop.clone()?)));
        let loops: BTreeMap<Acceptance, String> = loops.collect();
        said.extend(self.blamed(group, over));
        // That a refresh is answered is no news of the client's.
        if reports.is_awaited(group) {
            self.renewing.insert(id);
        }
        let needed = reports.needed();
        self.leave_older(id, &needed);
        told.extend(self.news(said, &loops));
    }

    /// How it stands upstream for each member, and why for those for whom nothing is to be expected.
    fn judge(&self, group: &Group, reports: &Reports<'_>) -> (Vec<Said>, Vec<Over>) {
        let (mut said, mut over) = (Vec::new(), Vec::new());
        for id in &group.members {
            let Some(member) = self.members.get(id) else {
                continue;
            };
            let wanted = &member.wanted;
            let upstream = match reports.of_member(wanted) {
                Combined::Accepted(status) => Upstream::Accepted(status),
                Combined::Pending if member.told.is_none() => continue,
                Combined::Pending => Upstream::Pending,
                // He is asked for without those whom the conflict is about, once they are gone.
                Combined::Deactivated { conflict, .. }
                    if group.members.len() > 1
                        && !self.is_standing(id)
                        && conflict.is_some_and(|it| is_about_others(it, wanted)) =>
                {
                    continue;
                }
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
        (said, over)
    }

    /// What of this the server has not been told.
    fn news(&mut self, said: Vec<Said>, loops: &BTreeMap<Acceptance, String>) -> Vec<Said> {
        let mut news = Vec::new();
        for (member, said) in said {
            let Some(known) = self.members.get_mut(&member) else {
                continue;
            };
            if known.told.as_ref() == Some(&said) {
                continue;
            }
            known.told = Some(said.clone());
            if matches!(said, Upstream::Accepted(_)) {
                self.standing.insert(member.key.clone(), member.accepted);
            }
            if let (Upstream::Refused(_), Some(path)) = (&said, loops.get(&member)) {
                let (key, path) = (member.key.clone(), path.clone());
                let note = Note::Loop { key, path };
                self.outputs.push_back(Output::Noted(note));
            }
            news.push((member, said));
        }
        news
    }

    /// Who is refused of those that nobody protects. Of several the first to be left out is one that nobody has accepted yet,
    /// then the widest, for servers refuse what is beyond a prefix; of equals the newest.
    fn blamed(&self, group: &Group, over: Vec<Over>) -> Vec<Said> {
        let is_alone = over.len() == 1;
        let suspect = over.iter().map(|(id, _)| id);
        let suspect = suspect.max_by_key(|id| {
            let is_new = !self.is_standing(id);
            (is_new, self.width_of(id), id.accepted)
        });
        let suspect = suspect.cloned();
        let blamed = over.into_iter().filter_map(|(id, refused)| {
            let member = self.members.get(&id)?;
            let said = match refused.because {
                Because::HopLimit if member.wanted.hop_limit > group.hop_limit => return None,
                Because::Request if !is_alone && suspect.as_ref() != Some(&id) => return None,
                // Whose request is wrong is not known: he is asked for alone when he asks again.
                Because::Request if !is_alone || !is_all_of(group, &member.wanted) => {
                    Upstream::Refused(later(
                        "what others ask for, too, was refused together with it",
                    ))
                }
                _ if refused.is_passing => Upstream::Postponed(refused.response),
                _ => Upstream::Refused(refused.response),
            };
            Some((id, said))
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
}

/// Whether the addresses of a member are all that is asked for.
fn is_all_of(group: &Group, wanted: &Wanted) -> bool {
    let own = &wanted.target.prefixes;
    let mut all = group.target.prefixes.iter();
    all.all(|prefix| own.iter().any(|own| own.contains(prefix)))
}
