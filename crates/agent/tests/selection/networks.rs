//! Random networks, each decided twice.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent::server_selection::{
    Attack, Disclosure, Independent, Policy, SameProvider, SeenOn, Selection, select,
};
use dots::target::{Target, TargetPrefix};
use fastrand::Rng;
use ipnet::IpNet;
use pvd::{DotsAgent, DotsServer, ProvisioningDomain, PvdId, PvdSet};

use super::Established;
use super::reference::{Domain, Site};

/// How many networks are decided, each from a seed of its own.
const NETWORKS: u64 = 1_000_000;

/// The whole world: this many addresses of each family.
const WORLD: u8 = 16;

fn address(family: bool, number: u8) -> IpAddr {
    if family {
        Ipv4Addr::new(203, 0, 113, number).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()).into()
    }
}

fn prefix(random: &mut Rng) -> IpNet {
    let family = random.bool();
    let host = random.u8(..WORLD);
    let bits = if family { 32 } else { 128 };
    let prefix = IpNet::new(address(family, host), bits - random.u8(..=4)).unwrap();
    prefix.trunc()
}

fn prefixes(random: &mut Rng, most: usize) -> Vec<IpNet> {
    (0..random.usize(..=most)).map(|_| prefix(random)).collect()
}

fn site(random: &mut Rng) -> Site {
    let domains: Vec<Domain> = (0..random.usize(1..=4))
        .map(|number| {
            let agent = match random.u8(..4) {
                0 => DotsAgent::ClientDomainGateway,
                _ => DotsAgent::Server,
            };
            Domain {
                id: format!("pvd{number}.example").parse().unwrap(),
                provider: random.bool().then(|| format!("isp{}", random.u8(..2))),
                prefixes: prefixes(random, 3),
                servers: (0..random.usize(..=2))
                    .map(|each| format!("s{each}.pvd{number}"))
                    .collect(),
                agent,
            }
        })
        .collect();
    let some = |random: &mut Rng| -> BTreeSet<PvdId> {
        let ids = domains.iter().map(|each| each.id.clone());
        ids.filter(|_| random.bool()).collect()
    };
    let mut preferences: Vec<(IpNet, BTreeSet<PvdId>)> = Vec::new();
    for prefix in prefixes(random, 2) {
        if preferences.iter().all(|(other, _)| *other != prefix) {
            preferences.push((prefix, some(random)));
        }
    }
    let mut policy = Policy::default();
    if random.bool() {
        policy.independent = Independent::One;
    }
    if random.bool() {
        policy.seen_on = SeenOn::Decides;
    }
    if random.bool() {
        policy.same_provider = SameProvider::All;
    }
    if random.u8(..4) == 0 {
        policy.disclosure = Disclosure::Consented;
    }
    for (prefix, named) in &preferences {
        policy.prefer(*prefix, named.clone());
    }
    let servers = domains.iter().flat_map(|each| each.servers.clone());
    let established = Established(servers.filter(|_| random.bool()).collect());
    let seen_on = some(random);
    Site {
        independent: prefixes(random, 2),
        domains,
        preferences,
        policy,
        seen_on,
        established,
    }
}

fn decide(site: &Site, targets: &[IpNet]) -> Selection {
    let mut set = PvdSet::default();
    for each in &site.domains {
        let servers = each.servers.iter();
        set.insert(ProvisioningDomain {
            provider: each.provider.clone(),
            prefixes: each.prefixes.clone(),
            dots_servers: servers
                .map(|name| DotsServer::new(name.clone(), &[]))
                .collect(),
            dots_agent: each.agent,
            ..ProvisioningDomain::new(each.id.clone())
        });
    }
    for prefix in &site.independent {
        set.insert_independent(*prefix);
    }
    let targets = targets
        .iter()
        .map(|net| TargetPrefix::try_from(*net).unwrap());
    let attack = Attack {
        target: Target {
            prefixes: targets.collect(),
            ..Target::default()
        },
        seen_on: site.seen_on.clone(),
    };
    select(&attack, &set, &site.policy, &site.established)
}

/// Compares a decision with the reference, address by address.
fn check(site: &Site, targets: &[IpNet], selection: &Selection) {
    let world = [true, false]
        .into_iter()
        .flat_map(|family| (0..WORLD).map(move |host| address(family, host)));
    let mut all_protected = true;
    for address in world {
        let is_target = targets.iter().any(|target| target.contains(&address));
        let asked = selection.asked.iter().filter(|asked| {
            asked
                .target
                .prefixes
                .iter()
                .any(|prefix| prefix.net().contains(&address))
        });
        let asked: BTreeSet<PvdId> = asked.map(|asked| asked.association.pvd.clone()).collect();
        if !is_target {
            assert_eq!(asked, BTreeSet::new(), "{address} is no target");
            continue;
        }
        assert_eq!(asked, site.asked(address), "who is asked for {address}");
        all_protected &= !asked.is_empty();
        let mut unprotected = selection.unprotected.iter();
        assert!(
            !asked.is_empty() || unprotected.any(|left| left.prefix.net().contains(&address)),
            "nobody says that {address} is unprotected"
        );
    }
    assert_eq!(all_protected, selection.unprotected.is_empty());
    for domain in &site.domains {
        let asked = selection
            .asked
            .iter()
            .filter(|asked| asked.association.pvd == domain.id);
        let asked: Vec<_> = asked.collect();
        let not_asked = selection
            .not_asked
            .iter()
            .filter(|not| not.pvd == domain.id)
            .count();
        assert!(asked.len() <= 1, "one server of {} is enough", domain.id);
        assert_eq!(
            asked.len() + not_asked,
            domain.servers.len().max(1),
            "all of {}",
            domain.id
        );
        for asked in asked {
            assert_eq!(asked.reasons.len(), asked.target.prefixes.len());
            let up = |name: &&String| site.established.0.contains(*name);
            let best = domain.servers.iter().find(up).or(domain.servers.first());
            assert_eq!(Some(&asked.association.server), best);
        }
    }
}

/// Says what failed: the same number always makes the same network.
struct Replay<'a>(u64, &'a Site);

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, site) = self;
            eprintln!("network {seed}: {site:#?}");
        }
    }
}

/// Covers: M-005, M-006, M-007, M-008, M-013, M-014, M-016, M-020, M-022, M-023, M-024, M-026, M-027
#[test]
fn a_million_random_networks_are_decided_as_the_reference_decides_them() {
    std::thread::scope(|scope| {
        for worker in 0..2 {
            scope.spawn(move || {
                for seed in (worker..NETWORKS).step_by(2) {
                    let mut random = Rng::with_seed(seed);
                    let site = site(&mut random);
                    let targets = [prefix(&mut random), prefix(&mut random)];
                    let replay = Replay(seed, &site);
                    check(&site, &targets, &decide(&site, &targets));
                    drop(replay);
                }
            });
        }
    });
}
