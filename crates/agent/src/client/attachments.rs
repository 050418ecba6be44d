//! What another attachment to the same provider takes over, because no server of its own PvD answers (RFC 9284 §5.4).
//!
//! It goes there and back as between servers of one PvD ([`super::moving`]), where the decision would ask that one for all
//! of it.

use std::collections::BTreeSet;

use pvd::{ProvisioningDomain, PvdId};

use super::association::Association;
use super::part::Part;
use super::splitting;
use super::{Client, Connector};
use crate::server_selection::{self, Asked, AssociationId, Attack, SameProvider};

impl<C: Connector> Client<C> {
    /// The attachments to the provider of a PvD, where one of them is asked for all: this one, and others.
    pub(super) fn attachments(&self, pvd: &PvdId) -> BTreeSet<PvdId> {
        let domain = self.pvds.get(pvd).into_iter();
        let siblings = domain.flat_map(|domain| self.siblings(domain));
        let siblings = siblings.map(|it| it.id.clone());
        siblings.chain([pvd.clone()]).collect()
    }

    /// One of the attachments to the provider of a PvD, the same for all of them.
    pub(super) fn one_attachment(&self, pvd: &PvdId) -> PvdId {
        let mut attachments = self.attachments(pvd);
        attachments.pop_first().unwrap_or_else(|| pvd.clone())
    }

    /// The other attachments to the same provider, where one of them is asked for all.
    pub(super) fn siblings<'a>(
        &'a self,
        domain: &'a ProvisioningDomain,
    ) -> impl Iterator<Item = &'a ProvisioningDomain> {
        let is_one = self.policy.same_provider == SameProvider::One && domain.provider.is_some();
        self.pvds.iter().filter(move |other| {
            is_one && other.provider == domain.provider && other.id != domain.id
        })
    }

    /// Whether a server of a PvD answers.
    pub(super) fn is_answered_in(&self, pvd: &PvdId) -> bool {
        self.associations.of(pvd).any(Association::is_reached)
    }

    /// Whether no server of a PvD answers, and one of another attachment to its provider does.
    pub(super) fn is_cut_off(&self, pvd: &PvdId) -> bool {
        let domain = self.pvds.get(pvd).into_iter();
        let mut siblings = domain.flat_map(|domain| self.siblings(domain));
        !self.is_answered_in(pvd) && siblings.any(|it| self.is_answered_in(&it.id))
    }

    /// Who takes over a part whose own attachment is cut off, if one may be asked for all of it.
    pub(super) fn attachment_for(&self, at: &AssociationId, part: &Part) -> Option<Asked> {
        if !self.is_cut_off(&at.pvd) {
            return None;
        }
        let wanted = self.requests.get(part.wish.request)?;
        let attack = Attack {
            target: part.wish.target.clone(),
            seen_on: wanted.attack.seen_on.clone(),
        };
        let selection = server_selection::select(&attack, &self.pvds, &self.policy, self);
        let siblings = self.attachments(&at.pvd);
        let mut asked = selection.asked.into_iter();
        let asked = asked.find(|asked| siblings.contains(&asked.association.pvd))?;
        let is_all = splitting::make_up(&[&part.wish], &asked.target);
        let other = self.associations.get(&asked.association)?;
        (is_all && other.id.pvd != at.pvd && other.takes_over(&part.wish)).then_some(asked)
    }
}
