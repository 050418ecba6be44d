//! After every event: brings the associations that something happened to where they should be, and
//! passes on what they want done.

use std::collections::BTreeSet;
use std::time::Instant;

use pvd::PvdId;

use super::association::{Association, Effect};
use super::{Action, Change, Client, Connector, Note};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// How often in a row one event lets parts move: what comes to a server without a session may go on at once.
const ROUNDS: usize = 4;

/// Servers without an association that are remembered: those with the lowest numbers give way, which are
/// the oldest, for numbers begin with the time.
const KNOWN: usize = 256;

impl<C: Connector> Client<C> {
    pub(super) fn settle(&mut self, now: Now) {
        let mut pvds = self.associations.stirred().clone();
        self.settle_associations(now, &pvds);
        for _ in 0..ROUNDS {
            let moved = self.place_parts(now, &pvds);
            pvds.clone_from(self.associations.stirred());
            if !moved {
                break;
            }
            self.settle_associations(now, &pvds);
        }
        self.pass_on(now, &pvds);
    }

    fn settle_associations(&mut self, now: Now, pvds: &BTreeSet<PvdId>) {
        for id in self.associations.ids_of(pvds) {
            if let Some(association) = self.associations.get_mut(&id) {
                association.settle(now, &mut self.connector, &mut self.next_path);
            }
        }
    }

    /// Passes on what associations want done. What changed in a part is remembered after its
    /// datagrams have left: an attack does not wait for a disk, and a mid is reserved already.
    pub(super) fn pass_on(&mut self, now: Now, pvds: &BTreeSet<PvdId>) {
        let ids = self.associations.ids_of(pvds);
        for id in &ids {
            let Some(association) = self.associations.get_mut(id) else {
                continue;
            };
            let effects = std::mem::take(&mut association.effects).into_iter();
            let actions: Vec<Action> = effects.map(|effect| association.action(effect)).collect();
            for action in &actions {
                self.associations.follow(id, action);
            }
            self.actions.extend(actions);
        }
        let mut has_untold = false;
        for id in &ids {
            let Some(association) = self.associations.get_mut(id) else {
                continue;
            };
            let telling = &mut association.telling;
            let (changes, notes) = telling.news(now, &association.id, &mut association.parts);
            self.actions
                .extend(changes.into_iter().map(Action::Persist));
            self.actions.extend(notes.into_iter().map(Action::Noted));
            self.requests.touch(association.parts.take_changed());
            for part in std::mem::take(&mut association.untold) {
                let record = part.record(now, id).map(Change::PutRequest);
                self.actions.extend(record.map(Action::Persist));
                self.keep_absent(id.clone(), part);
                has_untold = true;
            }
        }
        if has_untold {
            self.limit_absent();
        }
        self.remember_wanted(now);
        self.drop_gone(&ids);
        for pvd in pvds {
            let deadline = self.deadline(pvd);
            self.associations.settled(pvd, deadline);
        }
    }

    /// Forgets associations that have said all they could.
    fn drop_gone(&mut self, ids: &[AssociationId]) {
        for id in ids {
            if self.associations.get(id).is_some_and(Association::is_gone)
                && let Some(association) = self.associations.remove(id)
            {
                let requests = association.parts.iter().map(|part| part.wish.request);
                self.requests.touch(requests);
                self.known.insert(id.clone(), association.record());
            }
        }
        self.forget_known();
    }

    /// A network may name ever new servers. What begins at a forgotten one begins above the numbers that
    /// were used there (see [`super::mids::first`]). Who is to be told something keeps his cuid before others.
    pub(super) fn forget_known(&mut self) {
        if self.known.len() <= KNOWN {
            return;
        }
        let absent = self.absent.servers();
        while self.known.len() > KNOWN {
            let known = self.known.values();
            let oldest = known.min_by_key(|it| (absent.contains(&it.association), it.reserved_mid));
            let Some(oldest) = oldest.map(|record| record.association.clone()) else {
                return;
            };
            self.known.remove(&oldest);
            let forgotten = Change::DeleteAssociation(oldest);
            self.actions.push_back(Action::Persist(forgotten));
        }
    }

    /// When the associations of a PvD change by themselves.
    pub(super) fn deadline(&self, pvd: &PvdId) -> Option<Instant> {
        let associations = self.associations.of(pvd);
        let own = associations.filter_map(Association::poll_timeout);
        own.chain(self.next_move(pvd)).min()
    }
}

impl<S: dtls::Session> Association<S> {
    fn action(&self, effect: Effect) -> Action {
        let id = || self.id.clone();
        match effect {
            Effect::Open {
                path,
                interface,
                candidate,
            } => Action::OpenPath {
                path,
                transport: candidate.transport,
                interface,
                source: candidate.source,
                remote: candidate.address,
            },
            Effect::Transmit(path, octets) => Action::Transmit(path, octets),
            Effect::Close(path) => Action::ClosePath(path),
            Effect::Remember => Action::Persist(Change::PutAssociation(self.record())),
            Effect::SessionUp(peer) => Action::Noted(Note::SessionUp(id(), peer)),
            Effect::SessionDown(peer, why) => Action::Noted(Note::SessionDown(id(), peer, why)),
            Effect::Resolve(name) => Action::Resolve {
                association: id(),
                name,
            },
            Effect::Redirect(what) => Action::Noted(Note::Redirect(id(), what)),
        }
    }
}
