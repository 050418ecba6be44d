//! How the places for sources are divided among the filters.
//!
//! ```text
//! share of all places:  1/64  1/128  1/256 ... 1/8192   none
//! filters:              8     16     32        1024     all others
//! ```
//! All filters together never have more than there are. The share of a filter stays what it is
//! while it lives, because the kernel changes the size of no set. Who asks for a thousand filters
//! gets smaller and smaller shares, and whoever comes after him gets these, too: shares go by
//! arrival, since a filter does not say whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::config::LimitPerSource;
use super::script::Filters;
use crate::FilterId;

/// How many filters have the largest share, and into how many of these all places are divided.
const FIRST: usize = 8;
const LARGEST_SHARE: u32 = 64;
/// How many times the share is halved.
const HALVINGS: u32 = 7;

/// Who has which share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places(BTreeMap<FilterId, usize>);

impl Places {
    /// Takes the shares of filters that are gone, and gives one to each that has none.
    pub(super) fn follow(&mut self, filters: &Filters) {
        self.0.retain(|id, _| filters.contains_key(id));
        let taken: BTreeSet<usize> = self.0.values().copied().collect();
        let mut free = (0..).filter(|share| !taken.contains(share));
        for id in filters.keys() {
            if !self.0.contains_key(id)
                && let Some(share) = free.next()
            {
                self.0.insert(id.clone(), share);
            }
        }
    }

    /// Finds the share of a filter whose sets are there from before and have this size.
    pub(super) fn resume(&mut self, id: &FilterId, size: u64, limit: &LimitPerSource) {
        let taken: BTreeSet<usize> = self.0.values().copied().collect();
        let mut fitting = shares_of(size, limit).filter(|share| !taken.contains(share));
        if let Some(share) = fitting.next() {
            self.0.insert(id.clone(), share);
        }
    }

    /// How many sources of each address family the filter watches; `None`: no single one.
    pub(super) fn size(&self, id: &FilterId, limit: &LimitPerSource) -> Option<NonZeroU32> {
        size(*self.0.get(id)?, limit)
    }
}

/// How many sources there are in a share.
fn size(share: usize, limit: &LimitPerSource) -> Option<NonZeroU32> {
    // The first 8, the next 16, the next 32.
    let halvings = (share / FIRST + 1).ilog2();
    if halvings > HALVINGS {
        return None;
    }
    let places = (limit.all_sources.get() / LARGEST_SHARE) >> halvings;
    NonZeroU32::new(places.min(limit.sources.get()))
}

/// All shares of this size.
fn shares_of(wanted: u64, limit: &LimitPerSource) -> impl Iterator<Item = usize> {
    (0..FIRST << (HALVINGS + 1)).filter(move |share| {
        size(*share, limit).is_some_and(|size| u64::from(size.get()) == wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Filter;

    fn filters(range: std::ops::Range<u32>) -> Filters {
        range
            .map(|number| {
                let id: FilterId = format!("m{number:05}").parse().expect("an identifier");
                let filter = Filter {
                    id: id.clone(),
                    prefixes: Vec::new(),
                    port_ranges: Vec::new(),
                    protocols: Vec::new(),
                };
                (id, filter)
            })
            .collect()
    }

    fn total(places: &Places, filters: &Filters) -> u64 {
        let limit = LimitPerSource::default();
        let size = |id| places.size(id, &limit).map_or(0, |size| size.get().into());
        filters.keys().map(size).sum()
    }

    #[test]
    fn any_number_of_filters_together_has_no_more_places_than_there_are() {
        let all = u64::from(LimitPerSource::default().all_sources.get());
        let (mut places, many) = (Places::default(), filters(0..10_000));
        places.follow(&filters(0..8));
        assert_eq!(total(&places, &filters(0..8)), all / 8);
        places.follow(&many);
        assert!(total(&places, &many) <= all);
        assert!(total(&places, &many) > all / 2);
    }

    #[test]
    fn a_share_stays_while_its_filter_lives_and_is_free_after_it() {
        let limit = LimitPerSource::default();
        let mut places = Places::default();
        places.follow(&filters(0..100));
        let before = places.clone();
        places.follow(&filters(50..100));
        assert!(
            filters(50..100)
                .keys()
                .all(|id| places.0.get(id) == before.0.get(id))
        );
        places.follow(&filters(50..101));
        let (late, early) = (filters(100..101), filters(50..51));
        let size = |filters: &Filters| filters.keys().map(|id| places.size(id, &limit)).max();
        assert!(size(&late) > size(&early));
    }

    #[test]
    fn a_restart_finds_the_shares_that_sets_have() {
        let limit = LimitPerSource::default();
        let (mut before, all) = (Places::default(), filters(0..40));
        before.follow(&all);
        let mut after = Places::default();
        for id in all.keys().rev() {
            let size = before.size(id, &limit).map_or(0, NonZeroU32::get);
            after.resume(id, size.into(), &limit);
        }
        assert!(
            all.keys()
                .all(|id| after.size(id, &limit) == before.size(id, &limit))
        );
        let taken: BTreeSet<_> = after.0.values().collect();
        assert_eq!(taken.len(), 40);
        after.resume(&"odd".parse().expect("an identifier"), 77, &limit);
        assert_eq!(after.0.len(), 40);
    }
}
