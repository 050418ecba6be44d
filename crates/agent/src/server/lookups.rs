//! Names that the resolver is looking up, each for one customer: nobody uses up the room of others.
//!
//! ```text
//! begin --> under way --Resolved, or too late--> over
//! ```
//!
//! A lookup takes its room until it is over, also when nobody waits for the name any more.

use std::collections::BTreeMap;
use std::time::Instant;

use dots::target::DomainName;

#[derive(Debug)]
struct Lookup {
    customer: String,
    give_up: Instant,
}

/// The lookups under way.
#[derive(Debug, Default)]
pub(super) struct Lookups(BTreeMap<DomainName, Lookup>);

impl Lookups {
    pub(super) fn begin(
        &mut self,
        now: Instant,
        name: DomainName,
        customer: &str,
        give_up: Instant,
    ) {
        self.0.retain(|_, lookup| lookup.give_up > now);
        let customer = customer.to_owned();
        self.0.insert(name, Lookup { customer, give_up });
    }

    pub(super) fn end(&mut self, name: &DomainName) {
        self.0.remove(name);
    }

    pub(super) fn is_under_way(&self, now: Instant, name: &DomainName) -> bool {
        self.0.get(name).is_some_and(|lookup| lookup.give_up > now)
    }

    /// How many are under way for a customer.
    pub(super) fn count_of(&self, now: Instant, customer: &str) -> usize {
        let under_way = self.0.values().filter(|lookup| lookup.give_up > now);
        under_way
            .filter(|lookup| lookup.customer == customer)
            .count()
    }
}
