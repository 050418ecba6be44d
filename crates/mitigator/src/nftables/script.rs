//! Writing the scripts, each of which nft makes one transaction of.
//!
//! Order matters in a script: chains come before the maps that are declared in it, because nft
//! 1.0.6 sends the elements of a new map along with the map; elements go before the chains they
//! lead to; sets and counters go after the rules that use them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};

use ipnet::IpNet;

use super::config::{Action, LimitPerSource, NftablesConfig};
use super::dispatch::{Branch, Dispatch};
use super::listing::{Listing, SetDefinition};
use super::names::{self, BASE_CHAIN, Family};
use crate::{Filter, FilterId};

/// Runs before connection tracking makes a state for the packet, and after it has put fragments
/// together.
const PRIORITY_RAW: i32 = -300;

/// The protocols that have ports (RFC 9132 §4.4.1.1): TCP, UDP, DCCP and SCTP.
const PORT_PROTOCOLS: &str = "6, 17, 33, 132";

pub(super) type Filters = BTreeMap<FilterId, Filter>;

pub(super) struct Script<'a> {
    config: &'a NftablesConfig,
    text: String,
}

impl<'a> Script<'a> {
    pub(super) fn new(config: &'a NftablesConfig) -> Self {
        Script {
            config,
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
            .flat_map(|filter| self.sets(filter))
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
        let groups: Vec<_> = dispatch.0.iter().collect();
        self.add_chains(filters.values(), &groups);
        for family in Family::ALL {
            let (map, address_type) = (family.dispatch_map(), family.address_type());
            self.object(
                "add map",
                map,
                format_args!("{{ type {address_type} : verdict; flags interval; }}"),
            );
            let signature = self.config.action.signature();
            let destination = family.destination();
            self.rule(
                BASE_CHAIN,
                format_args!("{destination} vmap @{map} comment \"{signature}\""),
            );
        }
        self.fill(filters.values(), &groups);
        self.add_elements(groups.iter().map(|(outer, _)| *outer));
    }

    /// Leads from one state to another, given that the table is in the first.
    pub(super) fn change(&mut self, old: &Filters, new: &Filters) {
        let (before, after) = (Dispatch::new(old.values()), Dispatch::new(new.values()));
        let filters: Vec<_> = new
            .values()
            .filter(|filter| old.get(&filter.id) != Some(filter))
            .collect();
        let groups: Vec<_> = after
            .0
            .iter()
            .filter(|(outer, branches)| before.0.get(outer) != Some(branches))
            .collect();

        self.add_chains(filters.iter().copied(), &groups);
        for filter in filters.iter().filter(|filter| old.contains_key(&filter.id)) {
            self.object("flush chain", &names::filter_chain(&filter.id), "");
        }
        for (outer, _) in groups
            .iter()
            .filter(|(outer, _)| before.0.contains_key(outer))
        {
            self.object("flush chain", &names::group_chain(outer), "");
        }
        self.fill(filters.iter().copied(), &groups);

        let gone: Vec<_> = before
            .0
            .keys()
            .filter(|outer| !after.0.contains_key(outer))
            .collect();
        for outer in &gone {
            self.object(
                "delete element",
                Family::of(outer).dispatch_map(),
                format_args!("{{ {outer} }}"),
            );
        }
        self.add_elements(
            groups
                .iter()
                .map(|(outer, _)| *outer)
                .filter(|outer| !before.0.contains_key(outer)),
        );
        for outer in gone {
            self.flush_and_delete_chain(&names::group_chain(outer));
        }

        for filter in old.values() {
            let successor = new.get(&filter.id);
            if successor.is_none() {
                self.flush_and_delete_chain(&names::filter_chain(&filter.id));
                self.delete("counter", &names::counter(&filter.id));
            }
            let used = successor
                .map(|filter| self.sets(filter))
                .unwrap_or_default();
            for name in self
                .sets(filter)
                .keys()
                .filter(|name| !used.contains_key(*name))
            {
                self.delete("set", name);
            }
        }
    }

    /// The sets that a filter needs.
    fn sets(&self, filter: &Filter) -> BTreeMap<String, SetDefinition> {
        let Action::LimitPerSource(limit) = &self.config.action else {
            return BTreeMap::new();
        };
        let definition = |family: Family| SetDefinition {
            element: family.address_type().to_owned(),
            size: limit.sources.get().into(),
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
        groups: &[(&IpNet, &Vec<Branch>)],
    ) {
        for filter in filters {
            self.object("add counter", &names::counter(&filter.id), "");
            for (name, set) in self.sets(filter) {
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
    fn fill<'f>(
        &mut self,
        filters: impl Iterator<Item = &'f Filter>,
        groups: &[(&IpNet, &Vec<Branch>)],
    ) {
        for filter in filters {
            self.add_filter_rules(filter);
        }
        for (outer, branches) in groups {
            let group = names::group_chain(outer);
            for Branch { prefix, filter } in *branches {
                let destination = Family::of(prefix).destination();
                self.rule(
                    &group,
                    format_args!(
                        "{destination} {prefix} jump {}",
                        names::filter_chain(filter)
                    ),
                );
            }
        }
    }

    fn add_filter_rules(&mut self, filter: &Filter) {
        let chain = names::filter_chain(&filter.id);
        let ports = list(
            filter
                .port_ranges
                .iter()
                .map(|range| format!("{}-{}", range.lower(), range.upper())),
        );
        let protocols = match (
            list(
                filter
                    .protocols
                    .iter()
                    .map(|protocol| protocol.0.to_string()),
            ),
            &ports,
        ) {
            (None, Some(_)) => Some(PORT_PROTOCOLS.to_owned()),
            (protocols, _) => protocols,
        };
        if let Some(protocols) = protocols {
            self.rule(
                &chain,
                format_args!("meta l4proto != {{ {protocols} }} return"),
            );
        }
        if let Some(ports) = ports {
            self.rule(
                &chain,
                format_args!(
                    "meta l4proto {{ {PORT_PROTOCOLS} }} th dport != {{ {ports} }} return"
                ),
            );
        }
        let drop = format!("counter name {} drop", names::counter(&filter.id));
        match &self.config.action {
            Action::Drop => self.rule(&chain, drop),
            Action::LimitPerSource(limit) => {
                for family in families(filter) {
                    self.add_limit_rules(&chain, limit, family, &filter.id, &drop);
                }
            }
        }
    }

    /// The order decides: every packet counts for the rate of its source, so that a source stays
    /// blocked while it goes on; each offender has a place among the rates, which expires no
    /// sooner, so that it finds one among the offenders.
    fn add_limit_rules(
        &mut self,
        chain: &str,
        limit: &LimitPerSource,
        family: Family,
        id: &FilterId,
        drop: &str,
    ) {
        let LimitPerSource {
            packets_per_second: rate,
            burst,
            untracked_packets_per_second: untracked,
            ..
        } = limit;
        let (source, rates, offenders) = (family.source(), family.rates(id), family.offenders(id));
        self.rule(
            chain,
            format_args!(
                "update @{rates} \
                 {{ {source} limit rate over {rate}/second burst {burst} packets }} \
                 update @{offenders} {{ {source} }}"
            ),
        );
        self.rule(chain, format_args!("{source} @{offenders} {drop}"));
        self.rule(
            chain,
            format_args!(
                "{source} != @{rates} \
                 limit rate over {untracked}/second burst {burst} packets {drop}"
            ),
        );
    }

    fn add_elements<'p>(&mut self, prefixes: impl Iterator<Item = &'p IpNet>) {
        let mut elements = BTreeMap::<Family, Vec<String>>::new();
        for prefix in prefixes {
            let element = format!("{prefix} : jump {}", names::group_chain(prefix));
            elements
                .entry(Family::of(prefix))
                .or_default()
                .push(element);
        }
        for (family, elements) in elements {
            self.object(
                "add element",
                family.dispatch_map(),
                format_args!("{{ {} }}", elements.join(", ")),
            );
        }
    }

    fn flush_and_delete_chain(&mut self, name: &str) {
        self.object("flush chain", name, "");
        self.delete("chain", name);
    }

    fn add_chain(&mut self, name: &str, definition: impl Display) {
        self.object("add chain", name, definition);
    }

    fn delete(&mut self, kind: &str, name: &str) {
        self.object(format_args!("delete {kind}"), name, "");
    }

    fn rule(&mut self, chain: &str, rule: impl Display) {
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

fn families(filter: &Filter) -> BTreeSet<Family> {
    filter.prefixes.iter().map(Family::of).collect()
}

/// The elements of a set as nft writes them; `None` without any, since nft has no empty set.
fn list(elements: impl Iterator<Item = String>) -> Option<String> {
    let text = elements.collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then_some(text)
}
