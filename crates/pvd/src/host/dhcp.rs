//! To which PvDs of an interface belongs what DHCP brought there (RFC 8801 §3.4.1, §3.4.2).

use std::net::{IpAddr, Ipv6Addr};

use super::identity::Identity;
use crate::identifier::PvdId;
use crate::name::DomainName;

/// What DHCP brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// DHCPv4, whatever it brought.
    Legacy,
    /// DHCPv6 without an address: resolvers, search domains.
    Stateless,
    /// An address by DHCPv6, with what came with it.
    Address(Ipv6Addr),
}

/// What came with it, but for addresses, which the kernel shows. It holds until somebody says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// By what.
    pub lease: Lease,
    /// Resolvers, in the server's order.
    pub resolvers: Vec<IpAddr>,
    /// Domains in which short names are looked up, in the server's order.
    pub search: Vec<DomainName>,
}

/// What the Router Advertisements of one PvD say that matters here.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The PvD.
    pub identity: &'a Identity,
    /// The L-flag of its PvD option.
    pub has_legacy: bool,
    /// The M-flag.
    pub is_managed: bool,
    /// The O-flag.
    pub has_other_configuration: bool,
    /// Whether one of its prefixes is around the address that was leased; of what came without one, around any address of this node.
    pub covers: bool,
}

/// The PvDs that something belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// They; all of them.
    pub identities: Vec<Identity>,
    /// What is wrong with what the routers say.
    pub fault: Option<Misconfiguration>,
}

/// What routers should not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misconfiguration {
    /// Several PvDs with the L-flag.
    #[error("{} each claim what DHCPv4 brings, so none of them has it", list(.0))]
    SeveralLegacy(Vec<PvdId>),
    /// An address by DHCPv6, and nobody has both the M-flag and a prefix around it.
    #[error(
        "{0} was given by DHCPv6 or by hand, and no PvD with the M-flag has a prefix around it: it goes to the implicit PvDs"
    )]
    NoPrefix(Ipv6Addr),
}

/// To whom a lease belongs, by what the PvDs of its interface claim.
pub fn associate(lease: Lease, claims: &[Claim<'_>]) -> Association {
    let of = |is: &dyn Fn(&Claim<'_>) -> bool| -> Vec<Identity> {
        let claims = claims.iter().filter(|claim| is(claim));
        claims.map(|claim| claim.identity.clone()).collect()
    };
    let is_implicit = |claim: &Claim<'_>| claim.identity.id().is_none();
    let is_managed = |claim: &Claim<'_>| claim.is_managed && claim.covers;
    let (identities, fault) = match lease {
        // With the M-flag the O-flag says nothing more (RFC 4861 §4.2): such a host has had the same with its address.
        Lease::Stateless => (
            of(&|claim| claim.has_other_configuration || is_managed(claim)),
            None,
        ),
        Lease::Legacy => {
            let explicit = of(&|claim| claim.has_legacy && !is_implicit(claim));
            match explicit.len() {
                0 => (of(&is_implicit), None),
                1 => (explicit, None),
                _ => {
                    let ids = explicit.iter().filter_map(Identity::id).cloned().collect();
                    (of(&is_implicit), Some(Misconfiguration::SeveralLegacy(ids)))
                }
            }
        }
        Lease::Address(address) => {
            let matching = of(&is_managed);
            let advertised = |claim: &Claim<'_>| matches!(claim.identity, Identity::Implicit(_));
            // Before any router has spoken, none has said too little.
            let has_router = claims.iter().any(|it| *it.identity != Identity::Legacy);
            match matching.is_empty() {
                true => {
                    let fault = Misconfiguration::NoPrefix(address);
                    (of(&advertised), has_router.then_some(fault))
                }
                false => (matching, None),
            }
        }
    };
    Association { identities, fault }
}

fn list(ids: &[PvdId]) -> String {
    let ids: Vec<_> = ids.iter().map(PvdId::as_str).collect();
    ids.join(", ")
}
