//! What the table holds, as nft tells.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::MitigatorError;
use super::config::TableName;
use super::names::{self, Family};
use super::process::Nft;
use crate::{Dropped, FilterId};

/// The objects of our table, which others may have changed.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) chains: Vec<String>,
    pub(super) maps: Vec<String>,
    pub(super) sets: BTreeMap<String, SetDefinition>,
    pub(super) counters: BTreeMap<String, Dropped>,
    /// The comments of the rules in our base chain.
    signatures: BTreeSet<String>,
    /// There is something that we never make.
    strange: bool,
}

/// What of a set cannot be changed once it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetDefinition {
    /// nft's name of the type; empty when it is none of ours.
    pub(super) element: String,
    /// Most elements; 0 when it is not bounded.
    pub(super) size: u64,
    /// After so many seconds an element expires; 0 when it does not.
    pub(super) timeout: u64,
}

impl SetDefinition {
    fn of(set: &Value) -> Self {
        let number = |field| set.get(field).and_then(Value::as_u64).unwrap_or_default();
        let element = set.get("type").and_then(Value::as_str).unwrap_or_default();
        SetDefinition {
            element: element.to_owned(),
            size: number("size"),
            timeout: number("timeout"),
        }
    }
}

#[derive(Deserialize)]
struct Output {
    nftables: Vec<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Counter {
    packets: u64,
    bytes: u64,
}

#[derive(Deserialize)]
struct Rule {
    chain: String,
    comment: Option<String>,
}

impl Listing {
    /// Lists the table without the elements of its sets, which may be many.
    pub(super) fn read(nft: &Nft, table: &TableName) -> Result<Self, MitigatorError> {
        Self::list(nft, &["-t", "list", "table", "inet", table.as_str()])
    }

    /// Lists the counters of the table only.
    pub(super) fn read_counters(nft: &Nft, table: &TableName) -> Result<Self, MitigatorError> {
        Self::list(nft, &["list", "counters", "table", "inet", table.as_str()])
    }

    /// A table that is not there holds nothing.
    fn list(nft: &Nft, arguments: &[&str]) -> Result<Self, MitigatorError> {
        match nft.list(arguments) {
            Ok(json) => Self::parse(&json).map_err(|source| MitigatorError::Listing { source }),
            Err(MitigatorError::Missing { .. }) => Ok(Listing::default()),
            Err(error) => Err(error),
        }
    }

    fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut listing = Listing::default();
        for (kind, value) in serde_json::from_slice::<Output>(json)?
            .nftables
            .into_iter()
            .flatten()
        {
            listing.take(&kind, value)?;
        }
        Ok(listing)
    }

    fn take(&mut self, kind: &str, value: Value) -> Result<(), serde_json::Error> {
        match kind {
            "metainfo" => {}
            "table" => self.strange |= value.get("flags").is_some(),
            "rule" => {
                let rule: Rule = serde_json::from_value(value)?;
                if rule.chain == names::BASE_CHAIN {
                    self.signatures.extend(rule.comment);
                }
            }
            _ => {
                let name = Named::deserialize(&value)?.name;
                // A name that we would not give must not get into a script.
                self.strange |= !name
                    .chars()
                    .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'));
                match kind {
                    "chain" => self.chains.push(name),
                    "map" => self.maps.push(name),
                    "set" => {
                        self.sets.insert(name, SetDefinition::of(&value));
                    }
                    "counter" => {
                        let Counter { packets, bytes } = serde_json::from_value(value)?;
                        self.counters.insert(name, Dropped { packets, bytes });
                    }
                    _ => self.strange = true,
                }
            }
        }
        Ok(())
    }

    /// Whether the table was made with these limits and holds only what we make, so that its sets
    /// and counters are good.
    pub(super) fn is_ours(&self, signature: &str) -> bool {
        !self.strange && self.signatures.iter().eq([signature])
    }

    /// The filters whose chain and counter are there.
    pub(super) fn filters(&self) -> BTreeSet<FilterId> {
        let chains = self
            .chains
            .iter()
            .filter_map(|name| names::filter_of_chain(name));
        chains
            .filter(|id| self.counters.contains_key(&names::counter(id)))
            .collect()
    }

    /// How many sources the sets of this filter hold.
    pub(super) fn places_of(&self, id: &FilterId) -> Option<u64> {
        let sets = Family::ALL.map(|family| self.sets.get(&family.rates(id)));
        sets.into_iter().flatten().map(|set| set.size).next()
    }

    /// What each filter has dropped.
    pub(super) fn dropped(self) -> BTreeMap<FilterId, Dropped> {
        self.counters
            .into_iter()
            .filter_map(|(name, dropped)| Some((names::filter_of_counter(&name)?, dropped)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(objects: &str) -> Listing {
        Listing::parse(format!("{{\"nftables\":[{objects}]}}").as_bytes()).expect("a listing")
    }

    const BASE_RULE: &str = r#"{"rule":{"family":"inet","table":"moat","chain":"prerouting","comment":"sig","expr":[]}}"#;

    #[test]
    fn a_table_with_our_signature_is_ours() {
        assert!(parse(BASE_RULE).is_ours("sig"));
        assert!(!parse(BASE_RULE).is_ours("other"));
        assert!(!parse("").is_ours("sig"));
    }

    #[test]
    fn a_table_with_strange_things_is_not_ours() {
        let strange = [
            r#"{"table":{"family":"inet","name":"moat","flags":["dormant"]}}"#,
            r#"{"flowtable":{"family":"inet","table":"moat","name":"fast"}}"#,
            r#"{"chain":{"family":"inet","table":"moat","name":"x; flush ruleset"}}"#,
            r#"{"rule":{"family":"inet","table":"moat","chain":"prerouting","comment":"more","expr":[]}}"#,
        ];
        for object in strange {
            assert!(
                !parse(&format!("{BASE_RULE},{object}")).is_ours("sig"),
                "{object}"
            );
        }
    }

    #[test]
    fn a_listing_that_is_no_listing_is_an_error() {
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"nftables":[{"chain":{}}]}"#,
            r#"{"nftables":[{"counter":{"name":"c_a"}}]}"#,
        ] {
            assert!(Listing::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
