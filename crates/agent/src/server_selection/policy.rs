//! What the administrator may choose where RFC 9284 leaves a choice, or where the draft that it grew
//! from says something else.

use std::collections::BTreeSet;

use ipnet::IpNet;
use pvd::{PrefixMap, PvdId};

/// The choices of the administrator. [`Policy::default`] is RFC 9284.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Who is asked for a provider-independent prefix.
    pub independent: Independent,
    /// What it means that an attack was seen on some networks.
    pub seen_on: SeenOn,
    /// Who is asked of several attachments to one provider.
    pub same_provider: SameProvider,
    /// Who may learn of a target.
    pub disclosure: Disclosure,
    preferences: PrefixMap<BTreeSet<PvdId>>,
}

/// Who is asked for a provider-independent prefix (RFC 9284 §5.2, §5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Independent {
    /// Every provider, because any of them may carry the attack (RFC 9284 §5.2).
    #[default]
    All,
    /// One of them, as in draft-boucadair-dots-multihoming-04 §5.2.
    One,
}

/// What it means that an attack was seen on some networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeenOn {
    /// Nothing: the prefix decides (RFC 9284 §5.1).
    #[default]
    Ignored,
    /// Of several networks that may be asked for a target, only those are that saw the attack
    /// (draft-boucadair-dots-multihoming-04 §5.1).
    Decides,
}

/// Who is asked of several attachments to one provider (RFC 9284 §5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameProvider {
    /// One of them: the one that assigned the target, or another while that one has no session. What a
    /// server has granted stays there.
    #[default]
    One,
    /// All of them.
    All,
}

/// Who may learn of a target (RFC 9284 §5.1, §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disclosure {
    /// The network that assigned it, and nobody else.
    #[default]
    Owner,
    /// The administrator has consented: a target that nobody assigned goes to every server, and a
    /// preference may name any.
    Consented,
}

impl Policy {
    /// The founding draft, where it differs (draft-boucadair-dots-multihoming-04 §5).
    pub fn draft() -> Self {
        Self {
            independent: Independent::One,
            seen_on: SeenOn::Decides,
            ..Self::default()
        }
    }

    /// For targets in `prefix`, asks only these PvDs of those that may be asked: a prefix filter
    /// (RFC 9284 §5.2).
    pub fn prefer(&mut self, prefix: IpNet, pvds: BTreeSet<PvdId>) {
        *self.preferences.entry(prefix) = pvds;
    }

    pub(super) fn preferences(&self) -> &PrefixMap<BTreeSet<PvdId>> {
        &self.preferences
    }
}
