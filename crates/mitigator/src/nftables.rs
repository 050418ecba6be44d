//! Enforcement with the nftables of this machine: one table of ours, changed in single
//! transactions.
//!
//! ```text
//! prerouting (raw) -- daddr in dispatch4|6 --> g_PREFIX -- daddr in scope --> f_ID: port, action
//! ```
//! One lookup decides about a packet that nobody asked to protect, however many mitigations there
//! are. The two maps must not hold prefixes that overlap, so that they hold the outermost prefixes
//! of all filters, and the chain behind each one jumps to the filters that have a prefix there.
//!
//! The rules are written in nft's own language: its JSON input (as of 1.0.6) cannot declare the
//! dynamic sets that [`Action::LimitPerSource`] needs. Every token in a script comes from a number,
//! an address or a validated name.

mod config;
mod dispatch;
mod error;
mod listing;
mod names;
mod process;
mod script;

use std::collections::BTreeMap;

pub use config::{Action, LimitPerSource, NftablesConfig, TableName, TableNameError};
pub use error::MitigatorError;

use self::listing::Listing;
use self::process::Nft;
use self::script::{Filters, Script};
use crate::{Dropped, Filter, FilterChange, FilterId, Mitigator, Reconciled};

/// The nftables back end. It keeps no process and no socket between calls.
#[derive(Debug)]
pub struct Nftables {
    config: NftablesConfig,
    nft: Nft,
    filters: Filters,
    /// False until the table is known to hold `filters`.
    synchronised: bool,
}

impl Nftables {
    /// A back end that has touched nothing yet. If `apply` comes before `reconcile`, what is in the
    /// table from before goes.
    pub fn new(config: NftablesConfig) -> Self {
        let nft = Nft::new(config.program.clone());
        Nftables {
            config,
            nft,
            filters: BTreeMap::new(),
            synchronised: false,
        }
    }

    /// Brings the table to hold exactly these filters, whatever it held.
    fn rebuild(&mut self, filters: Filters) -> Result<Reconciled, MitigatorError> {
        let listing = Listing::read(&self.nft, &self.config.table)?;
        let before = listing.filters();
        let mut survives = listing.is_ours(&self.config.action.signature());
        if survives {
            let mut script = Script::new(&self.config);
            script.clear(&listing, &filters);
            script.build(&filters);
            match self.nft.run(script.as_str()) {
                // Something in the table is in the way; without what it has counted and learnt it
                // goes.
                Err(MitigatorError::Rejected { .. } | MitigatorError::Missing { .. }) => {
                    survives = false;
                }
                result => result?,
            }
        }
        if !survives {
            let mut script = Script::new(&self.config);
            script.recreate();
            script.build(&filters);
            self.nft.run(script.as_str())?;
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
        let mut script = Script::new(&self.config);
        script.change(&self.filters, &filters);
        if !script.as_str().is_empty() {
            match self.nft.run(script.as_str()) {
                // Somebody else has changed the table.
                Err(MitigatorError::Rejected { .. } | MitigatorError::Missing { .. }) => {
                    return self.rebuild(filters).map(drop);
                }
                result => result?,
            }
        }
        self.filters = filters;
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
