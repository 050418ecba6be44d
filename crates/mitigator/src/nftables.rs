//! Enforcement with the nftables of this machine: one table of ours, changed in single
//! transactions.
//!
//! ```text
//! prerouting (raw) -- daddr in dispatch4|6 --> g_PREFIX -----> f_ID: port, action
//!                                                 '--> g_OUTER --> f_ID
//! ```
//! One lookup decides about a packet that nobody asked to protect, however many mitigations there
//! are. It finds the innermost prefix around the destination; the chain of a prefix jumps to the
//! filters that have it and goes on to the next prefix around it. A packet meets the filters that
//! hold its destination and no other.
//!
//! The rules are written in nft's own language: its JSON input (as of 1.0.6) cannot declare the
//! dynamic sets that [`Action::LimitPerSource`] needs. Every token in a script comes from a number,
//! an address or a validated name.

mod config;
mod dispatch;
mod error;
mod filter_rules;
mod listing;
mod names;
mod places;
mod process;
mod script;

use std::collections::BTreeMap;

pub use config::{Action, LimitPerSource, NftablesConfig, TableName, TableNameError};
pub use error::MitigatorError;

use self::listing::Listing;
use self::places::Places;
use self::process::Nft;
use self::script::{Filters, Script};
use crate::{Dropped, Filter, FilterChange, FilterId, Mitigator, Reconciled};

/// The nftables back end. It keeps no process and no socket between calls.
#[derive(Debug)]
pub struct Nftables {
    config: NftablesConfig,
    nft: Nft,
    filters: Filters,
    places: Places,
    /// False until the table is known to hold `filters`.
    synchronised: bool,
}

impl Nftables {
    /// A back end that has touched nothing yet. If `apply` comes before `reconcile`, what is in the
    /// table from before goes.
    pub fn new(config: NftablesConfig) -> Self {
        let nft = Nft::new(config.program.clone(), config.time_limit);
        Nftables {
            config,
            nft,
            filters: BTreeMap::new(),
            places: Places::default(),
            synchronised: false,
        }
    }

    /// Brings the table to hold exactly these filters, whatever it held.
    fn rebuild(&mut self, filters: Filters) -> Result<Reconciled, MitigatorError> {
        let listing = Listing::read(&self.nft, &self.config.table)?;
        let before = listing.filters();
        let mut survives = listing.is_ours(&self.config.action.signature());
        if survives {
            let places = self.resumed_places(&listing, &filters);
            let mut script = Script::new(&self.config, &places);
            script.clear(&listing, &filters);
            script.build(&filters);
            match self.nft.run(script.as_str()) {
                // Something in the table is in the way; without what it has counted and learnt it
                // goes.
                Err(MitigatorError::Rejected { .. } | MitigatorError::Missing { .. }) => {
                    survives = false;
                }
                result => {
                    result?;
                    self.places = places;
                }
            }
        }
        if !survives {
            let mut places = Places::default();
            places.follow(&filters);
            let mut script = Script::new(&self.config, &places);
            script.recreate();
            script.build(&filters);
            self.nft.run(script.as_str())?;
            self.places = places;
        }
        let (kept, added) = filters
            .keys()
            .cloned()
            .partition(|id| survives && before.contains(id));
        let removed = before
            .into_iter()
            .filter(|id| !filters.contains_key(id))
            .collect();
        self.filters = filters;
        self.synchronised = true;
        Ok(Reconciled {
            added,
            removed,
            kept,
        })
    }
}

impl Nftables {
    /// Leaves the wanted filters the places that they have in the table.
    fn resumed_places(&self, listing: &Listing, filters: &Filters) -> Places {
        let mut places = Places::default();
        if let Action::LimitPerSource(limit) = &self.config.action {
            for id in filters.keys() {
                if let Some(size) = listing.places_of(id) {
                    places.resume(id, size, limit);
                }
            }
        }
        places.follow(filters);
        places
    }
}

impl Mitigator for Nftables {
    fn apply(&mut self, changes: &[FilterChange]) -> Result<(), MitigatorError> {
        let mut filters = self.filters.clone();
        for change in changes {
            match change {
                FilterChange::Enforce(filter) => filters.insert(filter.id.clone(), filter.clone()),
                FilterChange::Withdraw(id) => filters.remove(id),
            };
        }
        // What a failure leaves behind is not known.
        if !std::mem::take(&mut self.synchronised) {
            return self.rebuild(filters).map(drop);
        }
        let mut places = self.places.clone();
        places.follow(&filters);
        let mut script = Script::new(&self.config, &places);
        script.change((&self.filters, &self.places), &filters);
        if !script.as_str().is_empty() {
            match self.nft.run(script.as_str()) {
                // Somebody else has changed the table.
                Err(MitigatorError::Rejected { .. } | MitigatorError::Missing { .. }) => {
                    return self.rebuild(filters).map(drop);
                }
                // The kernel has refused the whole before it looked at any of it.
                Err(error @ MitigatorError::TooLarge { .. }) => {
                    self.synchronised = true;
                    return Err(error);
                }
                result => result?,
            }
        }
        self.filters = filters;
        self.places = places;
        self.synchronised = true;
        Ok(())
    }

    fn reconcile(&mut self, wanted: &[Filter]) -> Result<Reconciled, MitigatorError> {
        self.rebuild(
            wanted
                .iter()
                .map(|filter| (filter.id.clone(), filter.clone()))
                .collect(),
        )
    }

    fn counters(&mut self) -> Result<BTreeMap<FilterId, Dropped>, MitigatorError> {
        Ok(Listing::read_counters(&self.nft, &self.config.table)?.dropped())
    }
}
