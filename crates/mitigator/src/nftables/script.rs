//! Writing the scripts, each of which nft makes one transaction of.
//!
//! Order matters in a script: chains come before the maps that are declared in it, because nft
//! 1.0.6 sends the elements of a new map along with the map; elements go before the chains they
//! lead to; sets and counters go after the rules that use them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};

use ipnet::IpNet;

use super::config::{Action, NftablesConfig};
use super::dispatch::{Dispatch, Group, Piece};
use super::listing::{Listing, SetDefinition};
use super::names::{self, BASE_CHAIN, Family};
use super::places::Places;
use crate::{Filter, FilterId};

/// Runs before connection tracking makes a state for the packet, and after it has put fragments
/// together.
const PRIORITY_RAW: i32 = -300;

/// nft looks through a map for each element that it deletes from it. Beyond this product of both
/// numbers the map is emptied and filled again in the same transaction, or a change of one customer
/// would keep those of all others waiting for minutes.
const MOST_DELETIONS_BY_ELEMENTS: usize = 100_000;

pub(super) type Filters = BTreeMap<FilterId, Filter>;

pub(super) struct Script<'a> {
    pub(super) config: &'a NftablesConfig,
    /// Of the filters that are wanted.
    pub(super) places: &'a Places,
    text: String,
}

impl<'a> Script<'a> {
    pub(super) fn new(config: &'a NftablesConfig, places: &'a Places) -> Self {
        Script {
            config,
            places,
            text: String::new(),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Starts from an empty table, whether there was one or not.
    pub(super) fn recreate(&mut self) {
        let table = &self.config.table;
        self.line(format_args!(
            "add table inet {table}\ndelete table inet {table}\nadd table inet {table}"
        ));
    }

    /// Starts from what is there, less everything but the sets and counters that `wanted` goes on
    /// using.
    pub(super) fn clear(&mut self, listing: &Listing, wanted: &Filters) {
        self.line(format_args!("flush table inet {}", self.config.table));
        for map in &listing.maps {
            self.delete("map", map);
        }
        for chain in &listing.chains {
            self.delete("chain", chain);
        }
        let sets: BTreeMap<_, _> = wanted
            .values()
            .flat_map(|filter| self.sets(filter, self.places))
            .collect();
        for (name, definition) in &listing.sets {
            if sets.get(name) != Some(definition) {
                self.delete("set", name);
            }
        }
        let counters: BTreeSet<_> = wanted.keys().map(names::counter).collect();
        for name in listing
            .counters
            .keys()
            .filter(|name| !counters.contains(*name))
        {
            self.delete("counter", name);
        }
    }

    /// Makes everything for these filters. Sets and counters may be there already.
    pub(super) fn build(&mut self, filters: &Filters) {
        self.add_chain(
            BASE_CHAIN,
            format_args!(
                "{{ type filter hook prerouting priority {PRIORITY_RAW}; policy accept; }}"
            ),
        );
        let dispatch = Dispatch::new(filters.values());
        let groups: Vec<_> = dispatch.groups.iter().collect();
        self.add_chains(filters.values(), &groups);
        for (family, band) in bands(&dispatch) {
            self.add_map(family, band);
        }
        self.add_lookups(&dispatch);
        self.fill(filters.values(), &groups);
        let nothing = Dispatch::default();
        self.change_elements(&nothing, &dispatch);
    }

    /// Leads from one state to another, given that the table is in the first.
    pub(super) fn change(&mut self, (old, places): (&Filters, &Places), new: &Filters) {
        let (before, after) = (Dispatch::new(old.values()), Dispatch::new(new.values()));
        let filters: Vec<_> = new
            .values()
            .filter(|filter| old.get(&filter.id) != Some(filter))
            .collect();
        let groups: Vec<_> = after
            .groups
            .iter()
            .filter(|(prefix, group)| before.groups.get(prefix) != Some(group))
            .collect();

        self.add_chains(filters.iter().copied(), &groups);
        for filter in filters.iter().filter(|filter| old.contains_key(&filter.id)) {
            self.object("flush chain", &names::filter_chain(&filter.id), "");
        }
        for (prefix, _) in &groups {
            if before.groups.contains_key(prefix) {
                self.object("flush chain", &names::group_chain(prefix), "");
            }
        }
        self.fill(filters.iter().copied(), &groups);

        let (bands_before, bands_after) = (bands(&before), bands(&after));
        for (family, band) in bands_after.difference(&bands_before) {
            self.add_map(*family, *band);
        }
        self.change_elements(&before, &after);
        if bands_before != bands_after {
            self.object("flush chain", BASE_CHAIN, "");
            self.add_lookups(&after);
        }
        for (family, band) in bands_before.difference(&bands_after) {
            self.delete("map", &family.dispatch_map(*band));
        }
        let gone = before.groups.keys();
        let gone: Vec<_> = gone
            .filter(|prefix| !after.groups.contains_key(prefix))
            .map(names::group_chain)
            .collect();
        // One may lead to another.
        for chain in &gone {
            self.object("flush chain", chain, "");
        }
        for chain in &gone {
            self.delete("chain", chain);
        }
        self.drop_filters((old, places), new);
    }

    /// Takes away what only filters that are gone, or have changed, have used.
    fn drop_filters(&mut self, (old, places): (&Filters, &Places), new: &Filters) {
        for filter in old.values() {
            let successor = new.get(&filter.id);
            if successor.is_none() {
                let chain = names::filter_chain(&filter.id);
                self.object("flush chain", &chain, "");
                self.delete("chain", &chain);
                self.delete("counter", &names::counter(&filter.id));
            }
            let used = successor
                .map(|filter| self.sets(filter, self.places))
                .unwrap_or_default();
            for name in self
                .sets(filter, places)
                .keys()
                .filter(|name| !used.contains_key(*name))
            {
                self.delete("set", name);
            }
        }
    }

    /// The sets that a filter needs.
    fn sets(&self, filter: &Filter, places: &Places) -> BTreeMap<String, SetDefinition> {
        let Action::LimitPerSource(limit) = &self.config.action else {
            return BTreeMap::new();
        };
        let Some(size) = places.size(&filter.id, limit) else {
            return BTreeMap::new();
        };
        let definition = |family: Family| SetDefinition {
            element: family.address_type().to_owned(),
            size: size.get().into(),
            timeout: limit.block_seconds.get().into(),
        };
        let named = |family: Family| {
            [family.rates(&filter.id), family.offenders(&filter.id)]
                .map(|name| (name, definition(family)))
        };
        families(filter).into_iter().flat_map(named).collect()
    }

    /// Makes what rules refer to.
    fn add_chains<'f>(
        &mut self,
        filters: impl Iterator<Item = &'f Filter>,
        groups: &[(&IpNet, &Group)],
    ) {
        for filter in filters {
            self.object("add counter", &names::counter(&filter.id), "");
            for (name, set) in self.sets(filter, self.places) {
                let SetDefinition {
                    element,
                    size,
                    timeout,
                } = set;
                let definition = format_args!(
                    "{{ type {element}; size {size}; flags dynamic, timeout; timeout {timeout}s; }}"
                );
                self.object("add set", &name, definition);
            }
            self.add_chain(&names::filter_chain(&filter.id), "");
        }
        for (outer, _) in groups {
            self.add_chain(&names::group_chain(outer), "");
        }
    }

    /// Writes the rules of these filters and groups into their empty chains.
    fn fill<'f>(&mut self, filters: impl Iterator<Item = &'f Filter>, groups: &[(&IpNet, &Group)]) {
        for filter in filters {
            self.add_filter_rules(filter);
        }
        for (prefix, Group { filters, outer }) in groups {
            let chain = names::group_chain(prefix);
            for filter in filters {
                let filter = names::filter_chain(filter);
                self.rule(&chain, format_args!("jump {filter}"));
            }
            if let Some(outer) = outer {
                let outer = names::group_chain(outer);
                self.rule(&chain, format_args!("goto {outer}"));
            }
        }
    }

    fn add_map(&mut self, family: Family, band: usize) {
        let address_type = family.address_type();
        self.object(
            "add map",
            &family.dispatch_map(band),
            format_args!("{{ type {address_type} : verdict; flags interval; }}"),
        );
    }

    /// The rules of the base chain.
    fn add_lookups(&mut self, dispatch: &Dispatch) {
        let signature = self.config.action.signature();
        for (family, band) in bands(dispatch) {
            let (destination, map) = (family.destination(), family.dispatch_map(band));
            self.rule(
                BASE_CHAIN,
                format_args!("{destination} vmap @{map} comment \"{signature}\""),
            );
        }
    }

    /// What the pieces of the address space lead to.
    fn change_elements(&mut self, before: &Dispatch, after: &Dispatch) {
        let nothing = BTreeMap::new();
        for (family, band) in bands(before).union(&bands(after)).copied() {
            let [old, new] = [before, after]
                .map(|dispatch| dispatch.pieces.get(&(family, band)).unwrap_or(&nothing));
            let differing = |one: &BTreeMap<Piece, IpNet>, other: &BTreeMap<Piece, IpNet>| {
                let pieces = one
                    .iter()
                    .filter(|(piece, to)| other.get(piece) != Some(to));
                pieces.map(|(piece, to)| (*piece, *to)).collect::<Vec<_>>()
            };
            let map = family.dispatch_map(band);
            let gone = differing(old, new);
            let come = if gone.len().saturating_mul(old.len()) > MOST_DELETIONS_BY_ELEMENTS {
                self.object("flush map", &map, "");
                new.iter().map(|(piece, to)| (*piece, *to)).collect()
            } else {
                self.elements("delete", &map, gone.iter().map(|(piece, _)| piece.to_nft()));
                differing(new, old)
            };
            let leads = |(piece, to): &(Piece, IpNet)| {
                format!("{} : jump {}", piece.to_nft(), names::group_chain(to))
            };
            self.elements("add", &map, come.iter().map(leads));
        }
    }

    fn elements(&mut self, verb: &str, map: &str, elements: impl Iterator<Item = String>) {
        if let Some(elements) = list(elements) {
            let verb = format_args!("{verb} element");
            self.object(verb, map, format_args!("{{ {elements} }}"));
        }
    }

    fn add_chain(&mut self, name: &str, definition: impl Display) {
        self.object("add chain", name, definition);
    }

    fn delete(&mut self, kind: &str, name: &str) {
        self.object(format_args!("delete {kind}"), name, "");
    }

    pub(super) fn rule(&mut self, chain: &str, rule: impl Display) {
        self.object("add rule", chain, rule);
    }

    fn object(&mut self, verb: impl Display, name: &str, rest: impl Display) {
        self.line(format_args!(
            "{verb} inet {} {name} {rest}",
            self.config.table
        ));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// The lookups that each packet of a family goes through; the first is there in any case.
fn bands(dispatch: &Dispatch) -> BTreeSet<(Family, usize)> {
    let bands = |family| (0..dispatch.bands(family).max(1)).map(move |band| (family, band));
    Family::ALL.into_iter().flat_map(bands).collect()
}

pub(super) fn families(filter: &Filter) -> BTreeSet<Family> {
    filter.prefixes.iter().map(Family::of).collect()
}

/// The elements of a set as nft writes them; `None` without any, since nft has no empty set.
pub(super) fn list(elements: impl Iterator<Item = String>) -> Option<String> {
    let text = elements.collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters `numbers`, each with 100 prefixes.
    fn filters(numbers: std::ops::Range<u16>) -> Filters {
        let filter = |number: u16| {
            let id: FilterId = format!("m{number}").parse().expect("an identifier");
            let prefix = |host| {
                let prefix = format!("2001:db8:{number:x}:{host:x}::/80");
                prefix.parse().expect("a prefix")
            };
            let filter = Filter {
                id: id.clone(),
                prefixes: (0..100).map(prefix).collect(),
                port_ranges: Vec::new(),
                protocols: Vec::new(),
            };
            (id, filter)
        };
        numbers.map(filter).collect()
    }

    /// What nft has to look through for the deletions in the change from one state to another.
    fn looked_through(old: &Filters, new: &Filters) -> usize {
        let (config, places) = (NftablesConfig::default(), Places::default());
        let mut script = Script::new(&config, &places);
        script.change((old, &places), new);
        let deletions = script
            .as_str()
            .lines()
            .filter(|line| line.starts_with("delete element"));
        let deleted: usize = deletions.map(|line| line.split(',').count()).sum();
        deleted
            * Dispatch::new(old.values())
                .pieces
                .values()
                .map(BTreeMap::len)
                .sum::<usize>()
    }

    ///
    #[test]
    fn what_nft_looks_through_is_bounded_however_much_one_customer_replaces() {
        let (old, replaced) = (filters(0..90), filters(8..98));
        assert_eq!(
            looked_through(&old, &replaced),
            0,
            "the map is emptied at once"
        );
        // A small change does not write a large map anew.
        assert_eq!(looked_through(&filters(0..5), &filters(0..4)), 100 * 500);
    }
}
