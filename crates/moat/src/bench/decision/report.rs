//! What was measured. Ratios say how moat compares: above 1, it does better than the other.

use serde::Serialize;

/// All of a run; as JSON, what `moat bench decision --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) setup: Setup,
    pub(super) lookups: Vec<Lookup>,
    pub(super) decisions: Decisions,
    pub(super) changes: Changes,
}

/// Under which conditions.
#[derive(Debug, Serialize)]
pub(super) struct Setup {
    pub(super) version: &'static str,
    /// Whether the compiler optimised this program.
    pub(super) optimised: bool,
    /// Of each measurement.
    pub(super) seconds: f64,
}

/// The longest prefix around an address.
#[derive(Debug, Serialize)]
pub(super) struct Lookup {
    pub(super) prefixes: usize,
    pub(super) moat_nanoseconds: f64,
    /// Not the prefix alone, but whose all addresses of a target are.
    pub(super) division_nanoseconds: f64,
    /// The `prefix-trie` crate.
    pub(super) prefix_trie_nanoseconds: f64,
    /// A `BTreeMap` that is asked for each length in turn.
    pub(super) tree_nanoseconds: f64,
    /// A look at every prefix.
    pub(super) scan_nanoseconds: f64,
    pub(super) ratio_to_prefix_trie: f64,
    pub(super) ratio_to_tree: f64,
    pub(super) ratio_to_scan: f64,
}

impl Lookup {
    /// `others`: the trie, the tree, the scan.
    pub(super) fn new(prefixes: usize, moat: f64, division: f64, others: [f64; 3]) -> Self {
        let [prefix_trie, tree, scan] = others;
        Self {
            prefixes,
            moat_nanoseconds: moat,
            division_nanoseconds: division,
            prefix_trie_nanoseconds: prefix_trie,
            tree_nanoseconds: tree,
            scan_nanoseconds: scan,
            ratio_to_prefix_trie: prefix_trie / moat,
            ratio_to_tree: tree / moat,
            ratio_to_scan: scan / moat,
        }
    }
}

/// Decisions, as one thing grows.
#[derive(Debug, Serialize)]
pub(super) struct Decisions {
    pub(super) by_prefixes: Vec<Decision>,
    pub(super) by_pvds: Vec<Decision>,
}

/// A decision about one address, each time another.
#[derive(Debug, Serialize)]
pub(super) struct Decision {
    pub(super) pvds: usize,
    pub(super) prefixes: usize,
    /// Of an address that one of the networks assigned.
    pub(super) assigned_nanoseconds: f64,
    /// Of an address of the site itself, which all of them are asked to protect.
    pub(super) independent_nanoseconds: f64,
}

/// Changes, as one thing grows.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    pub(super) by_prefixes: Vec<Change>,
    pub(super) by_pvds: Vec<Change>,
    pub(super) by_requests: Vec<Change>,
}

/// One network gets another prefix in place of one.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    pub(super) pvds: usize,
    pub(super) prefixes: usize,
    /// That stand, none of which is concerned.
    pub(super) requests: usize,
    /// To put the changed PvD in the place of the old one.
    pub(super) index_nanoseconds: f64,
    /// To tell the client, which looks at all requests again.
    pub(super) client_nanoseconds: f64,
}
