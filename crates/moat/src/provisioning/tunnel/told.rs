//! A tunnel as JSON, in the words of no program.

use std::net::IpAddr;

use ipnet::IpNet;
use pvd::InterfaceName;
use pvd::bindings::tunnel::{Ends, Tunnel, TunnelFacts, Unusable};
use pvd::{DomainName, PvdId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::control::text::{parse, show};

/// What is told of a tunnel, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    /// The name that its peer has proved to have.
    #[serde(serialize_with = "show", deserialize_with = "parse")]
    pub(crate) pvd: PvdId,
    /// The peer's address outside.
    pub(crate) gateway: IpAddr,
    /// This node's address outside.
    pub(crate) outer: IpAddr,
    /// This node's addresses inside.
    pub(crate) addresses: Vec<IpAddr>,
    /// What is reached through it.
    pub(crate) prefixes: Vec<IpNet>,
    /// From which addresses packets go into it; the inner ones if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<IpNet>,
    /// Its resolvers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) resolvers: Vec<IpAddr>,
    /// The domains in which it looks up short names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) search: Vec<Search>,
    /// Its interface; absent: the one that has one of the addresses.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "show_some",
        deserialize_with = "parse_some"
    )]
    pub(crate) interface: Option<InterfaceName>,
}

/// A search domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Search(
    #[serde(serialize_with = "show", deserialize_with = "parse")] pub(crate) DomainName,
);

impl Told {
    /// As strongSwan tells it, of one pair of traffic selectors.
    pub(super) fn of(tunnel: &Tunnel, interface: Option<InterfaceName>) -> Option<Self> {
        let facts = tunnel.facts().clone();
        let ends = facts.ends.first()?;
        Some(Self {
            pvd: facts.pvd,
            gateway: ends.gateway,
            outer: ends.own,
            addresses: facts.addresses,
            prefixes: facts.reaches,
            sources: facts.sources,
            resolvers: facts.resolvers,
            search: facts.search.into_iter().map(Search).collect(),
            interface,
        })
    }

    /// The tunnel, if it can be one.
    ///
    /// # Errors
    /// [`Unusable`]
    pub(crate) fn tunnel(&self) -> Result<Tunnel, Unusable> {
        Tunnel::new(TunnelFacts {
            pvd: self.pvd.clone(),
            ends: vec![Ends {
                own: self.outer,
                gateway: self.gateway,
            }],
            addresses: self.addresses.clone(),
            sources: self.sources.clone(),
            reaches: self.prefixes.clone(),
            resolvers: self.resolvers.clone(),
            search: self.search.iter().map(|it| it.0.clone()).collect(),
        })
    }
}

fn show_some<S: Serializer>(
    value: &Option<InterfaceName>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value
        .as_ref()
        .map(ToString::to_string)
        .serialize(serializer)
}

fn parse_some<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<InterfaceName>, D::Error> {
    parse(deserializer).map(Some)
}
