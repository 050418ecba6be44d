//! A home between two providers.

use std::net::IpAddr;

use pvd::{DotsServer, OwnAddress, ProvisioningDomain, PvdSet};

/// The addresses of the servers: `fixed` has two, of which IPv6 is tried first.
pub(crate) const FIXED6: &str = "[2001:db8:1::53]:4646";
pub(crate) const FIXED4: &str = "192.0.2.1:4646";
pub(crate) const MOBILE4: &str = "192.0.2.2:4646";
/// Of no use: the mobile PvD has no IPv6 address.
pub(crate) const MOBILE6: &str = "[2001:db8:2::53]:4646";

/// Targets that one provider or the other assigned.
pub(crate) const FIXED_HOST: &str = "203.0.113.7/32";
pub(crate) const MOBILE_HOST: &str = "198.51.100.7/32";

/// An address of the home, of which nothing more is known.
pub(crate) fn own(address: &str) -> OwnAddress {
    address.parse::<IpAddr>().unwrap().into()
}

/// The two providers, whose servers listen with these transports.
pub(crate) fn pvds(transports: &[pvd::Transport]) -> PvdSet {
    let domain =
        |id: &str, prefixes: &[&str], addresses: &[&str], servers: &[&str]| ProvisioningDomain {
            interface: Some(id.split('.').next().unwrap().parse().unwrap()),
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            addresses: addresses.iter().map(|text| own(text)).collect(),
            dots_servers: vec![DotsServer::over(
                format!("dots.{id}"),
                &servers
                    .iter()
                    .map(|text| text.parse().unwrap())
                    .collect::<Vec<_>>(),
                transports,
            )],
            ..ProvisioningDomain::new(id.parse().unwrap())
        };
    let mut set = PvdSet::default();
    let fixed = ["203.0.113.1", "2001:db8:f::1"];
    set.insert(domain(
        "fixed.example",
        &["203.0.113.0/28", "2001:db8:f::/48"],
        &fixed,
        &[FIXED6, FIXED4],
    ));
    let mobile = ["198.51.100.1"];
    set.insert(domain(
        "mobile.example",
        &["198.51.100.0/28"],
        &mobile,
        &[MOBILE6, MOBILE4],
    ));
    set
}

/// The two providers, changed.
pub(crate) fn changed(change: impl FnOnce(&mut PvdSet)) -> PvdSet {
    let mut set = pvds(&[pvd::Transport::Udp]);
    change(&mut set);
    set
}

/// Changes one of the PvDs.
pub(crate) fn alter(set: &mut PvdSet, id: &str, change: impl FnOnce(&mut ProvisioningDomain)) {
    let mut domain = set.remove(&id.parse().unwrap()).unwrap();
    change(&mut domain);
    set.insert(domain);
}

/// The same, where `fixed` has a second server at [`BACKUP`].
pub(crate) fn with_backup() -> PvdSet {
    let mut set = pvds(&[pvd::Transport::Udp]);
    let mut fixed = set.remove(&"fixed.example".parse().unwrap()).unwrap();
    fixed.dots_servers.push(DotsServer::over(
        "backup.fixed.example".to_owned(),
        &[BACKUP.parse().unwrap()],
        &[pvd::Transport::Udp],
    ));
    set.insert(fixed);
    set
}

/// Where the second server of `fixed` is.
pub(crate) const BACKUP: &str = "192.0.2.7:4646";
