//! What the client is asked to ask for: a request for each group, and none for what nobody wants.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Instant;

use coap::{Code, Response};
use dots::identifiers::Cdid;
use dots::lifetime::Lifetime;
use dots::target::Target;

use super::combination::is_over;
use super::grouping::GroupId;
use super::member::{Kind, later_of};
use super::refusal::later;
use super::{Gateway, Note, Output};
use crate::client::{Client, Connector, Refusal, RequestId};
use crate::content;
use crate::prefix_index::PrefixIndex;
use crate::relay::Relayed;
use crate::server::{Acceptance, Upstream};
use crate::server_selection::Selection;
use crate::time::Now;

/// A request of the client.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) target: Target,
    pub(super) cdid: Option<Cdid>,
    pub(super) hop_limit: NonZeroU8,
    /// Those whom it protects.
    pub(super) groups: BTreeSet<GroupId>,
}

/// All requests of the client, and what they are for.
#[derive(Debug, Default)]
pub(super) struct Requests {
    by_id: BTreeMap<RequestId, Asked>,
    by_prefix: PrefixIndex<RequestId>,
    /// Those that lost a group since the last look.
    left: BTreeSet<RequestId>,
}

impl Requests {
    pub(super) fn get(&self, id: RequestId) -> Option<&Asked> {
        self.by_id.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RequestId, &Asked)> {
        self.by_id.iter().map(|(id, asked)| (*id, asked))
    }

    pub(super) fn get_mut(&mut self, id: RequestId) -> Option<&mut Asked> {
        self.by_id.get_mut(&id)
    }

    fn insert(&mut self, id: RequestId, asked: Asked) {
        self.remove(id);
        for prefix in &asked.target.prefixes {
            self.by_prefix.insert(prefix.net(), id);
        }
        self.left.insert(id);
        self.by_id.insert(id, asked);
    }

    fn remove(&mut self, id: RequestId) -> Option<Asked> {
        let asked = self.by_id.remove(&id)?;
        for prefix in &asked.target.prefixes {
            self.by_prefix.remove(prefix.net(), &id);
        }
        Some(asked)
    }

    /// A group needs the request no more.
    pub(super) fn release(&mut self, id: RequestId, group: GroupId) {
        if let Some(asked) = self.by_id.get_mut(&id) {
            asked.groups.remove(&group);
            self.left.insert(id);
        }
    }

    /// Requests of this kind that share an address with a target, oldest first.
    pub(super) fn around(&self, kind: &Kind, target: &Target) -> Vec<RequestId> {
        let prefixes = target.prefixes.iter();
        let found = prefixes.flat_map(|prefix| self.by_prefix.overlapping(prefix.net()));
        let found: BTreeSet<RequestId> = found.flatten().copied().collect();
        let is_of_kind = |id: &RequestId| self.get(*id).is_some_and(|it| it.kind == *kind);
        found.into_iter().filter(is_of_kind).collect()
    }
}

impl Gateway {
    /// What the client asks for since before the restart. A cdid is that of a member.
    pub(super) fn take_up<C: Connector>(&mut self, now: Now, client: &Client<C>) {
        let members = self.members.values().map(|member| &member.wanted);
        let customers = members.map(|wanted| (wanted.cdid.clone(), wanted.kind.customer.clone()));
        let customers: BTreeMap<Option<Cdid>, Option<String>> = customers.collect();
        for request in client.relayed_requests(now) {
            let initial = self.terms.relay.initial_hop_limit;
            let customer = customers.get(&request.relayed.cdid);
            let asked = Asked {
                kind: Kind {
                    trigger_mitigation: request.trigger_mitigation,
                    customer: customer.cloned().flatten(),
                },
                target: request.target,
                cdid: request.relayed.cdid,
                hop_limit: request.relayed.hop_limit.unwrap_or(initial),
                groups: BTreeSet::new(),
            };
            self.requests.insert(request.id, asked);
        }
    }

    /// Asks for what no request is for, for longer where it is wanted longer, and withdraws what
    /// nobody wants.
    pub(super) fn ask<C: Connector>(&mut self, now: Now, client: &mut Client<C>) {
        let ids: Vec<GroupId> = self.dirty.iter().copied().collect();
        let mut told = Vec::new();
        for id in ids {
            self.set_aside(client, id);
            self.adopt(client, id);
            let Some(group) = self.groups.get_mut(id) else {
                continue;
            };
            if group.current.is_some() {
                if std::mem::take(&mut group.is_to_be_prolonged) {
                    let wanted = group.members.iter().filter_map(|it| self.members.get(it));
                    let until = wanted.map(|member| member.wanted.until).reduce(later_of);
                    group.until = until.unwrap_or(group.until);
                    for request in group.requests() {
                        client.prolong(now, request, lifetime(now, group.until));
                    }
                }
                continue;
            }
            let kind = group.kind.clone();
            let terms = (lifetime(now, group.until), kind.trigger_mitigation);
            let relayed = Relayed {
                hop_limit: Some(group.hop_limit),
                cdid: group.cdid.clone(),
            };
            group.is_to_be_prolonged = false;
            match client.relay(now, &group.target.clone().into(), terms, relayed) {
                Ok(request) => {
                    group.current = Some(request);
                    let asked = Asked {
                        kind,
                        target: group.target.clone(),
                        cdid: group.cdid.clone(),
                        hop_limit: group.hop_limit,
                        groups: BTreeSet::from([id]),
                    };
                    let on_behalf = group.keys().into_iter().cloned().collect();
                    self.requests.insert(request, asked);
                    let note = Note::Relayed { request, on_behalf };
                    self.outputs.push_back(Output::Noted(note));
                }
                Err(refusal) => {
                    let members = group.members.clone();
                    told.extend(self.refuse_unasked(&members, &refusal));
                }
            }
        }
        if !told.is_empty() {
            self.outputs.push_back(Output::Tell(told));
        }
        self.withdraw_unwanted(now, client);
    }

    /// What a newer request of the client has taken the place of at a server is asked for anew: that one may be wanted no more.
    fn set_aside<C: Connector>(&mut self, client: &Client<C>, id: GroupId) {
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        let is_outdone = |request: &mut RequestId| {
            let report = client.request(*request);
            report.is_none_or(|report| report.is_outdone)
        };
        if let Some(outdone) = group.current.take_if(is_outdone) {
            group.older.push(outdone);
            group.older.sort_unstable();
        }
    }

    /// A request that asks for just what the group wants, of all that are to be asked, goes on.
    fn adopt<C: Connector>(&mut self, client: &Client<C>, id: GroupId) {
        let Some(group) = self.groups.get_mut(id).filter(|it| it.current.is_none()) else {
            return;
        };
        let is_same = |request: &RequestId| {
            let asked = self.requests.get(*request);
            asked.is_some_and(|asked| {
                (&asked.target, &asked.cdid, asked.hop_limit)
                    == (&group.target, &group.cdid, group.hop_limit)
            })
        };
        let is_whole = |request: &RequestId| {
            let report = client.request(*request);
            report.is_some_and(|report| !report.is_outdone && !is_over(&report))
        };
        let mut same = group.older.iter().copied().rev().filter(is_same);
        if let Some(found) = same.find(is_whole) {
            group.older.retain(|request| *request != found);
            group.current = Some(found);
            group.is_to_be_prolonged = true;
        }
    }

    pub(super) fn withdraw_unwanted<C: Connector>(&mut self, now: Now, client: &mut Client<C>) {
        for id in std::mem::take(&mut self.requests.left) {
            let is_unwanted = |asked: &Asked| asked.groups.is_empty();
            if self.requests.get(id).is_some_and(is_unwanted) {
                self.requests.remove(id);
                // What is over already needs no withdrawal.
                let _is_over = client.withdraw(now, id);
            }
        }
    }

    /// Nobody upstream serves what a client asks for (RFC 9284 §5.3).
    pub(super) fn refuse(
        &mut self,
        id: &Acceptance,
        selection: Selection,
    ) -> (Acceptance, Upstream) {
        let wanted = self.members.get(id).map(|member| &member.wanted);
        let reasons = selection.unprotected.iter();
        let reasons: Vec<String> = match wanted.filter(|wanted| wanted.is_translated()) {
            // The client knows nothing of the addresses outside.
            Some(wanted) => wanted.inside.iter().map(ToString::to_string).collect(),
            None => reasons
                .map(|it| format!("{}: {}", it.prefix, it.reason))
                .collect(),
        };
        let text = match selection.unprotected.is_empty() {
            true => "no server upstream of this gateway can be asked".to_owned(),
            false => format!(
                "not served upstream of this gateway: {}",
                reasons.join("; ")
            ),
        };
        let key = id.key.clone();
        let note = Note::NobodyToAsk { key, selection };
        self.outputs.push_back(Output::Noted(note));
        let said = Upstream::Refused(content::diagnostic(Code::BAD_REQUEST, &text));
        if let Some(member) = self.members.get_mut(id) {
            member.told = Some(said.clone());
        }
        (id.clone(), said)
    }

    /// The client cannot ask: the newest of those that nobody has accepted yet is told so, and the others are asked for
    /// without it. What may have been promised waits until there is room.
    fn refuse_unasked(
        &mut self,
        members: &BTreeSet<Acceptance>,
        refusal: &Refusal,
    ) -> Option<(Acceptance, Upstream)> {
        let new = members.iter().filter(|id| !self.is_standing(id));
        let newest = new.max_by_key(|id| id.accepted)?.clone();
        let said = Upstream::Refused(cannot_ask(refusal, members.len() == 1));
        let member = self.members.get_mut(&newest)?;
        member.told = Some(said.clone());
        Some((newest, said))
    }
}

fn cannot_ask(refusal: &Refusal, is_alone: bool) -> Response {
    match refusal {
        Refusal::TooManyRequests(_) => later("this gateway relays as many requests as it may"),
        _ if is_alone => content::diagnostic(
            Code::BAD_REQUEST,
            "this is too much for one request upstream",
        ),
        _ => later("together with what others ask for, this is too much for one request upstream"),
    }
}

fn lifetime(now: Now, until: Option<Instant>) -> Lifetime {
    let Some(until) = until else {
        return Lifetime::Indefinite;
    };
    Lifetime::Seconds(NonZeroU32::new(now.seconds_until(until)).unwrap_or(NonZeroU32::MIN))
}
