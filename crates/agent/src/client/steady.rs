//! Servers as they look to a request that some of them have.
//!
//! ```text
//! of the servers of a PvD: the one that has granted it, that is asked for it, that has refused it, that has a session
//! of attachments to one provider: those of which no other has the same with better right
//! ```

use std::cmp::Reverse;

use pvd::PvdId;

use super::association::Association;
use super::part::Part;
use super::{Client, Connector, RequestId};
use crate::server_selection::{AssociationId, SessionStates};

/// What ties a part to its server, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tie {
    /// What a server has refused is not asked of it again, nor of another one because of something else.
    Refused,
    Asked,
    /// It is in force.
    Granted,
}

impl Tie {
    fn of(part: &Part) -> Option<Self> {
        match part.is_going() {
            _ if part.is_moved() => None,
            true if part.is_granted() => Some(Self::Granted),
            true => Some(Self::Asked),
            false => part.is_refused().then_some(Self::Refused),
        }
    }
}

/// Who has the request is not changed without need.
pub(super) struct Steady<'a, C: Connector> {
    pub(super) client: &'a Client<C>,
    pub(super) request: RequestId,
}

impl<C: Connector> Steady<'_, C> {
    /// What ties the request to a server. What another attachment has more of is not this one's.
    fn tie(&self, association: &Association<C::Session>) -> Option<Tie> {
        let ties = association.parts_of(self.request).filter_map(|part| {
            let tie = Tie::of(part)?;
            let is_same = |other: &Part| other.wish.target.overlaps(&part.wish.target);
            let mut others = self.at_other_attachments(&association.id.pvd);
            let is_outdone = others.any(|other| Tie::of(other) > Some(tie) && is_same(other));
            (!is_outdone).then_some(tie)
        });
        ties.max()
    }

    fn at_other_attachments(&self, pvd: &PvdId) -> impl Iterator<Item = &Part> {
        let domain = self.client.pvds.get(pvd).into_iter();
        let others = domain.flat_map(|domain| self.client.siblings(domain));
        let servers = others.flat_map(|other| self.client.associations.of(&other.id));
        servers.flat_map(|server| server.parts_of(self.request))
    }
}

impl<C: Connector> SessionStates for Steady<'_, C> {
    fn is_established(&self, asked: &AssociationId) -> bool {
        let in_pvd = self.client.associations.of(&asked.pvd);
        let tied = in_pvd.filter_map(|other| Some((Reverse(self.tie(other)?), &other.id)));
        if let Some((_, tied)) = tied.min() {
            return tied == asked;
        }
        let mut others = self.at_other_attachments(&asked.pvd);
        let is_free = !others.any(|part| Tie::of(part) >= Some(Tie::Asked));
        is_free && self.client.is_established(asked)
    }
}
