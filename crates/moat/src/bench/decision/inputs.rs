//! Networks to decide about, from a seed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dots::target::{Target, TargetPrefix};
use ipnet::IpNet;
use pvd::{DotsServer, ProvisioningDomain, PvdId, PvdSet};

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) pvds: usize,
    /// Of all PvDs together.
    pub(super) prefixes: usize,
    pub(super) requests: usize,
}

const SEED: u64 = 9284;
/// The site's own network, in none of the others.
const INDEPENDENT: &str = "198.18.0.0/24";

/// Makes networks; from the beginning the same.
pub(super) struct Inputs(fastrand::Rng);

impl Inputs {
    pub(super) fn new() -> Self {
        Self(fastrand::Rng::with_seed(SEED))
    }

    /// So many prefixes, of both families in equal parts, of which some lie in others.
    pub(super) fn prefixes(&mut self, count: usize) -> Vec<IpNet> {
        let mut prefixes = BTreeSet::new();
        while prefixes.len() < count {
            prefixes.insert(self.prefix());
        }
        let mut prefixes: Vec<IpNet> = prefixes.into_iter().collect();
        self.0.shuffle(&mut prefixes);
        prefixes
    }

    fn prefix(&mut self) -> IpNet {
        let (address, length) = if self.0.bool() {
            let bits = 0x1000_0000 | self.0.u32(..0x0800_0000);
            (IpAddr::from(Ipv4Addr::from(bits)), self.0.u8(12..=28))
        } else {
            let bits = (0x2001_0db8 << 96) | (u128::from(self.0.u32(..)) << 64);
            (IpAddr::from(Ipv6Addr::from(bits)), self.0.u8(36..=60))
        };
        IpNet::new_assert(address, length).trunc()
    }

    /// An address in one of the prefixes.
    pub(super) fn host(&mut self, prefixes: &[IpNet]) -> Option<IpNet> {
        let net = *prefixes.get(self.0.usize(..prefixes.len()))?;
        let address: IpAddr = match net {
            IpNet::V4(net) => {
                let host = self.0.u32(..) & u32::from(net.hostmask());
                Ipv4Addr::from(u32::from(net.addr()) | host).into()
            }
            IpNet::V6(net) => {
                let host = self.0.u128(..) & u128::from(net.hostmask());
                Ipv6Addr::from(u128::from(net.addr()) | host).into()
            }
        };
        Some(IpNet::from(address))
    }

    /// Targets of an address each.
    pub(super) fn targets(&mut self, count: usize, prefixes: &[IpNet]) -> Vec<Target> {
        let hosts = std::iter::repeat_with(|| self.host(prefixes)).take(count);
        hosts.flatten().filter_map(target).collect()
    }
}

/// A request for one prefix.
fn target(prefix: IpNet) -> Option<Target> {
    Some(Target {
        prefixes: vec![TargetPrefix::try_from(prefix).ok()?],
        ..Target::default()
    })
}

/// Targets in the site's own network.
pub(super) fn independent_target() -> Option<Target> {
    target(INDEPENDENT.parse().ok()?)
}

/// PvDs that share the prefixes evenly, each with a server.
pub(super) fn pvds(count: usize, prefixes: &[IpNet]) -> PvdSet {
    let mut set = PvdSet::default();
    for number in 0..count {
        if let Some(id) = id(number) {
            let own = prefixes.iter().skip(number).step_by(count);
            set.insert(domain(id, own.copied().collect()));
        }
    }
    if let Ok(own) = INDEPENDENT.parse() {
        set.insert_independent(own);
    }
    set
}

/// The name of a PvD by its number.
pub(super) fn id(number: usize) -> Option<PvdId> {
    format!("network-{number}.example").parse().ok()
}

fn domain(id: PvdId, prefixes: Vec<IpNet>) -> ProvisioningDomain {
    let server = format!("dots.{id}");
    let at = SocketAddr::new(
        Ipv4Addr::new(192, 0, 2, 1).into(),
        dots::SIGNAL_CHANNEL_PORT,
    );
    ProvisioningDomain {
        prefixes,
        dots_servers: vec![DotsServer::over(server, &[at], &[pvd::Transport::Udp])],
        ..ProvisioningDomain::new(id)
    }
}
