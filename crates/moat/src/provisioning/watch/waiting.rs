//! Signed objects whose key the DNS has to confirm, which is asked inside their PvD as soon as that is attached.
//!
//! ```text
//! file, cache --> waits --PvD attached, with resolver and address--> TLSA? --keys, or proved that there are none--> verified
//!                   ^                                                  |
//!                   '--- again after a minute --- nobody knows --------'
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use jose::Anchors;
use pvd::PvdId;
use pvd::host::View;
use tokio::task::{JoinError, JoinSet};

use crate::provisioning::dane::{Unknown, extended};
use crate::provisioning::fetch::{Environment, Place, in_order};
use crate::provisioning::shelf::Unconfirmed;

/// At least between two questions for one PvD.
const BETWEEN: Duration = Duration::from_mins(1);
/// Objects that wait; no more come.
const MAX_OBJECTS: usize = 128;
/// Of these, objects that say that they are of one PvD: nothing is proved of them yet, so none takes another's place.
const MAX_OF_ONE: usize = 8;

/// What came of a question: the keys that are believed for the PvD.
pub(super) type Asked = (PvdId, Result<Anchors, Unknown>);

/// The objects, and who is being asked.
#[derive(Default)]
pub(super) struct Waiting {
    objects: Vec<Unconfirmed>,
    not_before: BTreeMap<PvdId, Instant>,
    tasks: JoinSet<Asked>,
}

impl Waiting {
    /// Keeps an object until its PvD is there; says whether there was room.
    pub(super) fn put(&mut self, object: Unconfirmed) -> bool {
        if self.objects.contains(&object) {
            return true;
        }
        let of_it = self.objects.iter().filter(|it| it.pvd == object.pvd);
        let has_room = self.objects.len() < MAX_OBJECTS && of_it.count() < MAX_OF_ONE;
        if has_room {
            self.objects.push(object);
        }
        has_room
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Asks about those whose PvD is there.
    pub(super) fn ask(&mut self, views: &[View], environment: &Rc<Environment>, now: Instant) {
        let wanted: BTreeSet<_> = self.objects.iter().map(|it| it.pvd.clone()).collect();
        self.not_before.retain(|pvd, _| wanted.contains(pvd));
        for pvd in wanted {
            let is_early = self.not_before.get(&pvd).is_some_and(|at| *at > now);
            let here = views.iter().filter(|view| view.identity.id() == Some(&pvd));
            let Some(place) = here.filter_map(place).next().filter(|_| !is_early) else {
                continue;
            };
            self.not_before.insert(pvd.clone(), now + BETWEEN);
            let environment = Rc::clone(environment);
            self.tasks.spawn_local(async move {
                let anchors = environment.anchors();
                let Some(assurance) = environment.dane() else {
                    return (pvd, Ok(Anchors::clone(anchors)));
                };
                let asked = match place.usable().await {
                    Ok(place) => extended(anchors, &pvd, place.resolver(assurance)).await,
                    Err(error) => Err(Unknown::unasked(&pvd, &error)),
                };
                (pvd, asked)
            });
        }
    }

    /// What came of the next question.
    pub(super) async fn answered(&mut self) -> Option<Result<Asked, JoinError>> {
        self.tasks.join_next().await
    }

    /// Those of a PvD, which wait no longer.
    pub(super) fn take(&mut self, pvd: &PvdId) -> Vec<Unconfirmed> {
        self.objects.extract_if(.., |it| it.pvd == *pvd).collect()
    }

    /// When somebody may be asked again.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.not_before
            .values()
            .filter(|at| **at > now)
            .min()
            .copied()
    }
}

/// Where the DNS of a PvD is asked.
fn place(view: &View) -> Option<Place> {
    let resolvers: Vec<_> = view.resolvers.iter().map(|it| it.what).collect();
    let sources = in_order(view.addresses.clone());
    let is_able = !resolvers.is_empty() && !sources.is_empty();
    is_able.then(|| Place {
        interface: view.interface.clone(),
        resolvers,
        sources,
        next_hops: Some(view.next_hops.clone()),
    })
}
