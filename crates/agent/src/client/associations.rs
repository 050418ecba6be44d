//! All associations, with what finds those that something happened to.
//!
//! ```text
//! get_mut, of_path, each_mut --> stirred --settled--> at rest until its deadline
//! ```
//!
//! PvDs are what is settled: their servers take over from each other (see [`super::moving`]), those of
//! different PvDs do not know of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use pvd::PvdId;

use super::association::Association;
use super::{Action, PathId};
use crate::server_selection::AssociationId;
use crate::time::Now;

/// The associations of a client.
#[derive(Debug)]
pub(super) struct Associations<S: dtls::Session> {
    associations: BTreeMap<AssociationId, Association<S>>,
    paths: BTreeMap<PathId, AssociationId>,
    /// PvDs that have to be settled.
    stirred: BTreeSet<PvdId>,
    /// When each of the others has to be.
    deadlines: BTreeMap<PvdId, Instant>,
    by_deadline: BTreeSet<(Instant, PvdId)>,
}

impl<S: dtls::Session> Default for Associations<S> {
    fn default() -> Self {
        Self {
            associations: BTreeMap::new(),
            paths: BTreeMap::new(),
            stirred: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
        }
    }
}

impl<S: dtls::Session> Associations<S> {
    pub(super) fn get(&self, id: &AssociationId) -> Option<&Association<S>> {
        self.associations.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Association<S>> {
        self.associations.values()
    }

    /// The associations with the servers of one PvD.
    pub(super) fn of<'a>(&'a self, pvd: &'a PvdId) -> impl Iterator<Item = &'a Association<S>> {
        let first = AssociationId {
            pvd: pvd.clone(),
            server: String::new(),
        };
        let from_here = self.associations.range(first..);
        let of_pvd = from_here.take_while(move |(id, _)| id.pvd == *pvd);
        of_pvd.map(|(_, association)| association)
    }

    /// The associations with the servers of some PvDs.
    pub(super) fn ids_of(&self, pvds: &BTreeSet<PvdId>) -> Vec<AssociationId> {
        let associations = pvds.iter().flat_map(|pvd| self.of(pvd));
        associations.map(|it| it.id.clone()).collect()
    }

    pub(super) fn get_mut(&mut self, id: &AssociationId) -> Option<&mut Association<S>> {
        self.stir(&id.pvd);
        self.associations.get_mut(id)
    }

    /// The association that a socket belongs to.
    pub(super) fn of_path(&mut self, path: PathId) -> Option<&mut Association<S>> {
        let id = self.paths.get(&path)?.clone();
        self.get_mut(&id)
    }

    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut Association<S>> {
        let pvds: BTreeSet<PvdId> = self.iter().map(|it| it.id.pvd.clone()).collect();
        for pvd in &pvds {
            self.stir(pvd);
        }
        self.associations.values_mut()
    }

    pub(super) fn insert(&mut self, association: Association<S>) {
        self.stir(&association.id.pvd);
        self.associations
            .insert(association.id.clone(), association);
    }

    pub(super) fn remove(&mut self, id: &AssociationId) -> Option<Association<S>> {
        self.stir(&id.pvd);
        self.associations.remove(id)
    }

    /// An association opens or closes a socket.
    pub(super) fn follow(&mut self, id: &AssociationId, action: &Action) {
        match action {
            Action::OpenPath { path, .. } => {
                self.paths.insert(*path, id.clone());
            }
            Action::ClosePath(path) => {
                self.paths.remove(path);
            }
            _ => {}
        }
    }

    pub(super) fn stir(&mut self, pvd: &PvdId) {
        self.stirred.insert(pvd.clone());
        if let Some((pvd, at)) = self.deadlines.remove_entry(pvd) {
            self.by_deadline.remove(&(at, pvd));
        }
    }

    /// The PvDs that have to be settled.
    pub(super) fn stirred(&self) -> &BTreeSet<PvdId> {
        &self.stirred
    }

    /// The same, with those whose deadline has come.
    pub(super) fn due(&self, now: Now) -> BTreeSet<PvdId> {
        let due = self.by_deadline.iter();
        let due = due.take_while(|(at, _)| *at <= now.monotonic);
        due.map(|(_, pvd)| pvd)
            .chain(&self.stirred)
            .cloned()
            .collect()
    }

    /// A PvD is settled, and at rest until its deadline.
    pub(super) fn settled(&mut self, pvd: &PvdId, deadline: Option<Instant>) {
        self.stir(pvd);
        self.stirred.remove(pvd);
        if let Some(at) = deadline {
            self.deadlines.insert(pvd.clone(), at);
            self.by_deadline.insert((at, pvd.clone()));
        }
    }

    /// The next deadline.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(at, _)| *at)
    }
}
