//! Which inside mitigations are asked for together. A change touches only the groups around it.
//!
//! A group that is put together anew inherits the requests of those that its members were in: they
//! protect until the new request is accepted, and one that asks for the same goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;
use std::time::Instant;

use dots::identifiers::Cdid;
use dots::target::Target;
use pvd::PvdSet;

use super::aggregation::{Aggregate, aggregate};
use super::member::{Kind, Wanted, later_of};
use super::{Gateway, Output};
use crate::client::{Client, Connector, RequestId};
use crate::prefix_index::PrefixIndex;
use crate::server::{Acceptance, MitigationKey};
use crate::server_selection::{Reason, Selection};

/// A group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId(u64);

/// Inside mitigations that are asked for together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) members: BTreeSet<Acceptance>,
    pub(super) target: Target,
    /// What servers are told of whom it is for, where they are: that of the first member.
    pub(super) cdid: Option<Cdid>,
    /// The smallest of its members: a loop is found by it.
    pub(super) hop_limit: NonZeroU8,
    /// Until when it is wanted; `None`: until it is withdrawn.
    pub(super) until: Option<Instant>,
    /// The request for all of it, once it is made.
    pub(super) current: Option<RequestId>,
    /// Requests from before, oldest first: they protect until the current one is accepted.
    pub(super) older: Vec<RequestId>,
    pub(super) is_to_be_prolonged: bool,
}

impl Group {
    /// The mitigations inside.
    pub(super) fn keys(&self) -> Vec<&MitigationKey> {
        self.members.iter().map(|member| &member.key).collect()
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = RequestId> {
        self.older.iter().copied().chain(self.current)
    }
}

/// All groups, and what they protect.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_id: BTreeMap<GroupId, Group>,
    by_prefix: BTreeMap<Kind, PrefixIndex<GroupId>>,
    next: GroupId,
}

impl Groups {
    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = GroupId> {
        self.by_id.keys().copied()
    }

    fn insert(&mut self, group: Group) -> GroupId {
        let id = self.next;
        self.next = GroupId(id.0 + 1);
        let index = self.by_prefix.entry(group.kind.clone()).or_default();
        for prefix in &group.target.prefixes {
            index.insert(prefix.net(), id);
        }
        self.by_id.insert(id, group);
        id
    }

    pub(super) fn remove(&mut self, id: GroupId) -> Option<Group> {
        let group = self.by_id.remove(&id)?;
        if let Some(index) = self.by_prefix.get_mut(&group.kind) {
            for prefix in &group.target.prefixes {
                index.remove(prefix.net(), &id);
            }
            if index.is_empty() {
                self.by_prefix.remove(&group.kind);
            }
        }
        Some(group)
    }

    /// The groups of this kind that share an address with a target.
    pub(super) fn around(&self, kind: &Kind, target: &Target) -> BTreeSet<GroupId> {
        let index = self.by_prefix.get(kind).into_iter();
        let found = index.flat_map(|index| {
            let prefixes = target.prefixes.iter();
            prefixes.flat_map(|prefix| index.overlapping(prefix.net()))
        });
        found.flatten().copied().collect()
    }
}

impl Gateway {
    /// Leaves out what is new and nobody upstream can be asked for. What may have been promised waits for its network,
    /// and so does what may belong to one that has not been found yet.
    pub(super) fn take_in<C: Connector>(&mut self, client: &Client<C>) {
        let mut told = Vec::new();
        for id in std::mem::take(&mut self.fresh) {
            let member = self.members.get(&id);
            let Some(member) = member.filter(|_| !self.is_standing(&id)) else {
                continue;
            };
            let selection = client.explain(&member.wanted.target.clone().into());
            if !selection.asked.is_empty() {
                continue;
            }
            if may_yet_be_asked(client.pvds(), &selection) {
                self.undecided.insert(id);
            } else {
                self.loose.remove(&id);
                told.push(self.refuse(&id, selection));
            }
        }
        if !told.is_empty() {
            self.outputs.push_back(Output::Tell(told));
        }
    }

    /// Puts together what is loose with what is around it.
    pub(super) fn regroup(&mut self) {
        let loose = self.loose.clone();
        for id in &loose {
            if let Some(Wanted { kind, target, .. }) =
                self.members.get(id).map(|member| &member.wanted)
            {
                for group in self.groups.around(kind, target) {
                    self.loosen(group);
                }
            }
        }
        let mut by_kind: BTreeMap<Kind, BTreeMap<Acceptance, Target>> = BTreeMap::new();
        for id in std::mem::take(&mut self.loose) {
            if let Some(Wanted { kind, target, .. }) =
                self.members.get(&id).map(|member| member.wanted.clone())
            {
                by_kind.entry(kind).or_default().insert(id, target);
            }
        }
        for (kind, wanted) in by_kind {
            for aggregate in aggregate(&wanted) {
                self.form(kind.clone(), aggregate);
            }
        }
    }

    fn form(&mut self, kind: Kind, aggregate: Aggregate<Acceptance>) {
        let Aggregate { members, target } = aggregate;
        let first = members.iter().min_by_key(|id| id.accepted);
        let first = first.and_then(|id| self.members.get(id));
        let cdid = first.and_then(|first| first.wanted.cdid.clone());
        let wanted = members.iter().filter_map(|id| self.members.get(id));
        let wanted: Vec<&Wanted> = wanted.map(|member| &member.wanted).collect();
        let hop_limit = wanted.iter().map(|wanted| wanted.hop_limit).min();
        let until = wanted.iter().map(|wanted| wanted.until).reduce(later_of);
        let (Some(hop_limit), Some(until)) = (hop_limit, until) else {
            return;
        };
        let older = self.requests.around(&kind, &target);
        let id = self.groups.insert(Group {
            kind,
            members: members.clone(),
            target,
            cdid,
            hop_limit,
            until,
            current: None,
            older: older.clone(),
            is_to_be_prolonged: false,
        });
        for member in &members {
            if let Some(known) = self.members.get_mut(member) {
                known.group = Some(id);
            }
        }
        for request in older {
            if let Some(asked) = self.requests.get_mut(request) {
                asked.groups.insert(id);
            }
        }
        self.dirty.insert(id);
    }
}

/// Whether a network may serve it that is still being looked for: one without a server so far assigned it, or one has no
/// prefix yet.
fn may_yet_be_asked(pvds: &PvdSet, selection: &Selection) -> bool {
    let mut unprotected = selection.unprotected.iter();
    let is_without_server = unprotected.any(|it| it.reason == Reason::NoDotsServer);
    let mut incomplete = pvds.iter().filter(|it| it.is_incomplete());
    incomplete.any(|it| is_without_server || it.prefixes.is_empty())
}
