//! What the administrator decides of who is used.

use super::candidate::Wish;

/// What the administrator decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who comes first.
    pub wishes: Vec<Wish>,
    /// Whether several are used at a time.
    pub mode: Mode,
    /// Whether it is found out that packets arrive; else the link, the routers and the addresses decide alone.
    pub probes: bool,
}

/// How the PvDs of a set are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Several at a time: each by who chooses it, the preferred one by all others.
    #[default]
    Parallel,
    /// One at a time: the others wait until it fails.
    Sequential,
}
