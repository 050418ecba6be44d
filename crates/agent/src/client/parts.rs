//! The parts at one server, with what finds some of them without a look at all.
//!
//! ```text
//! get_mut --> Changing --dropped--> the indexes follow, and its request counts as changed
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use dots::identifiers::Mid;

use super::RequestId;
use super::part::Part;

/// The parts of one association.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: BTreeMap<Mid, Part>,
    indexes: Indexes,
}

#[derive(Debug, Default)]
struct Indexes {
    by_request: BTreeMap<RequestId, BTreeSet<Mid>>,
    /// Requests of which a part came, went or may have changed since this was taken.
    changed: BTreeSet<RequestId>,
}

/// A part that is being changed.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    part: &'a mut Part,
    indexes: &'a mut Indexes,
}

impl Deref for Changing<'_> {
    type Target = Part;

    fn deref(&self) -> &Part {
        self.part
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Part {
        self.part
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.indexes.changed.insert(self.part.wish.request);
    }
}

impl Parts {
    pub(super) fn get(&self, mid: Mid) -> Option<&Part> {
        self.parts.get(&mid)
    }

    pub(super) fn contains(&self, mid: Mid) -> bool {
        self.parts.contains_key(&mid)
    }

    /// In the order of their mids.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.values()
    }

    /// The parts of one request.
    pub(super) fn of(&self, request: RequestId) -> impl Iterator<Item = &Part> {
        let mids = self.indexes.by_request.get(&request);
        let mids = mids.into_iter().flatten();
        mids.filter_map(|mid| self.parts.get(mid))
    }

    pub(super) fn get_mut(&mut self, mid: Mid) -> Option<Changing<'_>> {
        let part = self.parts.get_mut(&mid)?;
        let indexes = &mut self.indexes;
        Some(Changing { part, indexes })
    }

    /// Changes some parts.
    pub(super) fn change(
        &mut self,
        mids: impl IntoIterator<Item = Mid>,
        mut change: impl FnMut(&mut Part),
    ) {
        for mid in mids {
            if let Some(mut part) = self.get_mut(mid) {
                change(&mut part);
            }
        }
    }

    pub(super) fn insert(&mut self, part: Part) {
        let (request, mid) = (part.wish.request, part.mid);
        self.remove(mid);
        self.parts.insert(mid, part);
        let mids = self.indexes.by_request.entry(request).or_default();
        mids.insert(mid);
        self.indexes.changed.insert(request);
    }

    pub(super) fn remove(&mut self, mid: Mid) -> Option<Part> {
        let part = self.parts.remove(&mid)?;
        let request = part.wish.request;
        if let Some(mids) = self.indexes.by_request.get_mut(&request) {
            mids.remove(&mid);
            if mids.is_empty() {
                self.indexes.by_request.remove(&request);
            }
        }
        self.indexes.changed.insert(request);
        Some(part)
    }

    /// The requests of which something has changed since this was asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<RequestId> {
        std::mem::take(&mut self.indexes.changed)
    }
}

/// The mids of parts, so that these can be changed.
pub(super) fn mids<'a>(parts: impl Iterator<Item = &'a Part>) -> Vec<Mid> {
    parts.map(|part| part.mid).collect()
}
