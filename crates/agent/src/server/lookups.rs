//! Names that the resolver is looking up, each for one customer: nobody uses up the room of others.
//!
//! ```text
//! begin --> under way --Input::Resolved--> over
//! ```
//!
//! A lookup takes its room until it is over, also when nobody waits for the name any more.

use std::collections::BTreeMap;

use dots::target::DomainName;

/// The lookups under way, with the customer of each.
#[derive(Debug, Default)]
pub(super) struct Lookups(BTreeMap<DomainName, String>);

impl Lookups {
    pub(super) fn begin(&mut self, name: DomainName, customer: &str) {
        self.0.insert(name, customer.to_owned());
    }

    pub(super) fn end(&mut self, name: &DomainName) {
        self.0.remove(name);
    }

    pub(super) fn is_under_way(&self, name: &DomainName) -> bool {
        self.0.contains_key(name)
    }

    /// How many are under way for a customer.
    pub(super) fn count_of(&self, customer: &str) -> usize {
        self.0.values().filter(|of| *of == customer).count()
    }
}
