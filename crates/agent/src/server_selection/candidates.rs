//! Who may be asked for a piece of a target, and who of them is.

use std::collections::{BTreeMap, BTreeSet};

use dots::target::TargetPrefix;
use ipnet::IpNet;
use pvd::{Owners, ProvisioningDomain, PvdId, division};

use super::policy::{Disclosure, Independent, SameProvider, SeenOn};
use super::{Decision, Reason, SessionStates, Unprotected};

/// The PvDs that may be asked for a piece, each with the reason.
type Candidates<'a> = BTreeMap<&'a PvdId, (&'a ProvisioningDomain, Reason)>;

impl<'a, S: SessionStates> Decision<'a, S> {
    /// Decides for one of the targets.
    pub(super) fn consider(&mut self, target: TargetPrefix) {
        let division = match self.pvds.divide(target.net()) {
            Ok(division) => division,
            Err(error) => return self.leave(target.net(), Reason::TooWide(error)),
        };
        let mut left = Vec::new();
        for part in division.unowned {
            if self.without_owner(part).is_empty() {
                left.push(part);
            } else {
                self.choose(part, None);
            }
        }
        for piece in division.pieces {
            self.choose(piece.part, Some((piece.prefix, piece.owner)));
        }
        if left == [target.net().trunc()] {
            self.leave(target.net(), Reason::AssignedByNobody);
        } else if !left.is_empty() {
            self.leave(target.net(), Reason::PartlyAssigned { left });
        }
    }

    /// Chooses for a piece, by preference for each part of it that has one.
    fn choose(&mut self, piece: IpNet, owned: Option<(IpNet, &Owners)>) {
        let division = match division::divide(self.policy.preferences(), piece) {
            Ok(division) => division,
            Err(error) => return self.leave(piece, Reason::TooWide(error)),
        };
        let candidates = |decision: &Self, part| match owned {
            Some((prefix, owners)) => decision.of_owner(part, prefix, owners),
            None => decision.without_owner(part),
        };
        for part in division.unowned {
            self.settle(part, candidates(self, part));
        }
        for preferred in division.pieces {
            let part = preferred.part;
            let named = (preferred.prefix, preferred.owner);
            self.prefer(part, named, candidates(self, part));
        }
    }

    /// Who may be asked for what somebody owns.
    fn of_owner(&self, target: IpNet, prefix: IpNet, owners: &Owners) -> Candidates<'a> {
        let by = &owners.assigned_by;
        let is_assigned = !by.is_empty();
        let providers: BTreeMap<&str, &PvdId> = by
            .iter()
            .filter_map(|id| self.pvds.get(id))
            .filter_map(|owner| Some((owner.provider.as_deref()?, &owner.id)))
            .collect();
        let candidates = self.pvds.iter().filter_map(|domain| {
            let sibling = || providers.get(domain.provider.as_deref()?);
            let reason = if by.contains(&domain.id) {
                Reason::Assigned { target, prefix }
            } else if let Some(by) = sibling() {
                let by = (*by).clone();
                Reason::AssignedByProvider { target, by }
            } else if !is_assigned {
                Reason::Independent { target, prefix }
            } else {
                return None;
            };
            Some((&domain.id, (domain, reason)))
        });
        candidates.collect()
    }

    /// Who may be asked for what nobody is known to own.
    fn without_owner(&self, target: IpNet) -> Candidates<'a> {
        let is_consented = self.policy.disclosure == Disclosure::Consented;
        let candidates = self.pvds.iter().filter_map(|domain| {
            let reason = if domain.leaves_choice_to_gateway() {
                Reason::GatewayDecides { target }
            } else if is_consented {
                Reason::Consented { target }
            } else {
                return None;
            };
            Some((&domain.id, (domain, reason)))
        });
        candidates.collect()
    }

    /// Asks those of the candidates whom the administrator named.
    fn prefer(
        &mut self,
        part: IpNet,
        (prefix, named): (IpNet, &BTreeSet<PvdId>),
        mut candidates: Candidates<'a>,
    ) {
        if self.policy.disclosure == Disclosure::Consented {
            for domain in self.pvds.iter().filter(|domain| named.contains(&domain.id)) {
                let reason = Reason::Consented { target: part };
                candidates.entry(&domain.id).or_insert((domain, reason));
            }
        }
        let others = candidates.extract_if(.., |id, _| !named.contains(id));
        for (id, _) in others {
            self.excluded
                .entry(id)
                .or_insert(Reason::OthersPreferred { prefix });
        }
        if candidates.is_empty() {
            self.leave(part, Reason::PreferredMayNot { prefix });
        } else {
            self.settle(part, candidates);
        }
    }

    /// Asks all that remain when the rest of the policy is heard.
    fn settle(&mut self, part: IpNet, mut candidates: Candidates<'a>) {
        let without = candidates.extract_if(.., |_, (domain, _)| domain.dots_servers.is_empty());
        for (id, _) in without {
            self.excluded.entry(id).or_insert(Reason::NoDotsServer);
        }
        if candidates.is_empty() {
            return self.leave(part, Reason::NoDotsServer);
        }
        let is_seen = |id: &PvdId| self.seen_on.contains(id);
        let decides = self.policy.seen_on == SeenOn::Decides;
        if decides && candidates.keys().any(|id| is_seen(id)) {
            for (id, _) in candidates.extract_if(.., |id, _| !is_seen(id)) {
                self.excluded.entry(id).or_insert(Reason::NotSeenThere);
            }
        }
        if self.policy.same_provider == SameProvider::One {
            self.keep_one_attachment(&mut candidates);
        }
        let is_independent =
            |(_, reason): &(_, Reason)| matches!(reason, Reason::Independent { .. });
        if self.policy.independent == Independent::One && candidates.values().all(is_independent) {
            self.keep_one(&mut candidates);
        }
        for (id, (_, reason)) in candidates {
            let reasons = self.asked.entry(id).or_default();
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }

    /// Of the attachments to one provider: the one that assigned the target, if it has a session;
    /// another that has; the one that assigned it (RFC 9284 §5.4).
    fn keep_one_attachment(&mut self, candidates: &mut Candidates<'a>) {
        let mut chosen: BTreeMap<&str, (bool, bool, &'a ProvisioningDomain)> = BTreeMap::new();
        for (domain, reason) in candidates.values() {
            let Some(provider) = domain.provider.as_deref() else {
                continue;
            };
            let is_sibling = matches!(reason, Reason::AssignedByProvider { .. });
            let rank = (!self.is_reachable(domain), is_sibling, *domain);
            let best = chosen.entry(provider).or_insert(rank);
            if (rank.0, rank.1) < (best.0, best.1) {
                *best = rank;
            }
        }
        let server_of = |domain| self.server_of(domain).map(|association| association.server);
        let others = candidates.extract_if(.., |id, (domain, _)| {
            let best = domain.provider.as_deref().and_then(|name| chosen.get(name));
            best.is_some_and(|(_, _, best)| best.id != **id)
        });
        let others: Vec<_> = others
            .filter_map(|(id, (domain, _))| {
                let (_, _, best) = chosen.get(domain.provider.as_deref()?)?;
                let asked = server_of(best)?;
                Some((id, Reason::SameProvider { asked }))
            })
            .collect();
        for (id, reason) in others {
            self.excluded.entry(id).or_insert(reason);
        }
    }

    /// The first with a session, else the first.
    fn keep_one(&mut self, candidates: &mut Candidates<'a>) {
        let best = candidates
            .iter()
            .min_by_key(|(_, (domain, _))| !self.is_reachable(domain));
        let Some(best) = best.map(|(id, _)| *id) else {
            return;
        };
        for (id, _) in candidates.extract_if(.., |id, _| *id != best) {
            let asked = best.clone();
            self.excluded
                .entry(id)
                .or_insert(Reason::OneIsEnough { asked });
        }
    }

    fn leave(&mut self, target: IpNet, reason: Reason) {
        if let Ok(prefix) = TargetPrefix::try_from(target) {
            self.unprotected.push(Unprotected { prefix, reason });
        }
    }
}
