//! What a home is attached to, and with which addresses.
//!
//! ```text
//! 2001:db8:PROVIDER:HOME::/64          what a provider assigned
//! 2001:db8:PROVIDER:8000+HOME::/64     after renumbering
//! 2001:db8:ff:HOME::/64                the home's own, at each of its providers
//! ```

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use dots::target::{Target, TargetPrefix};
use ipnet::{IpNet, Ipv6Net};
use pvd::{DotsServer, ProvisioningDomain, PvdSet};

/// The providers there are. A home has the first two, three or four of them.
pub const PROVIDERS: [&str; 4] = ["fixed", "mobile", "cable", "satellite"];

/// Added to the number of a home that was renumbered.
const RENUMBERED: u16 = 0x8000;
/// In place of a provider, for what is the home's own.
const OWN: u16 = 0xff;

/// Something that a home has protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// In the network of this provider, as it is now.
    At(usize, u16),
    /// In the home's own network.
    Own(u16),
}

/// The attachments of one home.
#[derive(Clone, Debug)]
pub struct Site {
    home: usize,
    attached: BTreeSet<usize>,
    renumbered: BTreeSet<usize>,
}

fn net(third: usize, fourth: usize, offset: u16) -> Ipv6Net {
    let segment = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let fourth = segment(fourth).wrapping_add(offset);
    let address = Ipv6Addr::new(0x2001, 0xdb8, segment(third), fourth, 0, 0, 0, 0);
    Ipv6Net::new_assert(address, 64)
}

fn host(net: Ipv6Net, number: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(u128::from(net.addr()) | u128::from(number)))
}

/// Where the server of a provider listens.
pub(crate) fn server_address(provider: usize) -> SocketAddr {
    let net = net(provider + 1, 0x7fff, 0);
    SocketAddr::new(host(net, 1), dots::SIGNAL_CHANNEL_PORT)
}

impl Site {
    /// A home with all its attachments up.
    pub(crate) fn new(home: usize) -> Self {
        let count = 2 + home % (PROVIDERS.len() - 1);
        Self {
            home,
            attached: (0..count).collect(),
            renumbered: BTreeSet::new(),
        }
    }

    /// The providers that it has a contract with.
    pub fn providers(&self) -> std::ops::Range<usize> {
        0..2 + self.home % (PROVIDERS.len() - 1)
    }

    /// Whether the way to a provider is there.
    pub fn is_attached(&self, provider: usize) -> bool {
        self.attached.contains(&provider)
    }

    /// The way to a provider goes, or comes back.
    pub(crate) fn toggle(&mut self, provider: usize) {
        if !self.attached.remove(&provider) {
            self.attached.insert(provider);
        }
    }

    /// A provider gives it another prefix.
    pub(crate) fn renumber(&mut self, provider: usize) {
        if !self.renumbered.remove(&provider) {
            self.renumbered.insert(provider);
        }
    }

    fn net(&self, provider: usize) -> Ipv6Net {
        let offset = match self.renumbered.contains(&provider) {
            true => RENUMBERED,
            false => 0,
        };
        net(provider + 1, self.home, offset)
    }

    fn own_prefix(&self) -> IpNet {
        self.own().into()
    }

    fn own(&self) -> Ipv6Net {
        net(OWN.into(), self.home, 0)
    }

    /// What a provider knows to be this customer's: all that it may assign, and the home's own.
    pub(crate) fn owned(&self, provider: usize) -> Vec<IpNet> {
        let assigned = [0, RENUMBERED].map(|offset| net(provider + 1, self.home, offset));
        assigned
            .into_iter()
            .chain([self.own()])
            .map(IpNet::from)
            .collect()
    }

    /// What the server may be asked to protect that is spoken to from this address.
    pub(crate) fn assigned(&self, address: IpAddr) -> impl Iterator<Item = IpNet> {
        let attached = self.attached.iter().map(|provider| self.net(*provider));
        let of_address = attached.filter(move |net| host(*net, 1) == address);
        of_address.chain([self.own()]).map(IpNet::from)
    }

    /// Every address that it may ever send from.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let home = self.home;
        let of =
            move |provider| [0, RENUMBERED].map(|offset| host(net(provider + 1, home, offset), 1));
        self.providers().flat_map(of)
    }

    /// The PvDs, as the home learns them.
    pub(crate) fn pvds(&self) -> PvdSet {
        let mut set = PvdSet::default();
        for provider in self.attached.iter().copied() {
            let name = PROVIDERS[provider];
            let Ok(id) = format!("{name}.example").parse() else {
                continue;
            };
            let net = self.net(provider);
            set.insert(ProvisioningDomain {
                prefixes: vec![net.into()],
                addresses: vec![host(net, 1).into()],
                dots_servers: vec![DotsServer::over(
                    format!("dots.{name}.example"),
                    &[server_address(provider)],
                    &[pvd::Transport::Udp],
                )],
                ..ProvisioningDomain::new(id)
            });
        }
        set.insert_independent(self.own_prefix());
        set
    }

    /// Hosts as they are called now.
    pub fn target(&self, hosts: &[Host]) -> Target {
        let address = |host_of: &Host| match *host_of {
            Host::At(provider, number) => host(self.net(provider), number),
            Host::Own(number) => host(self.own(), number),
        };
        let prefixes = hosts.iter().map(address).map(TargetPrefix::try_from);
        Target {
            prefixes: prefixes.filter_map(Result::ok).collect(),
            ..Target::default()
        }
    }

    /// Who is to be asked to protect an address: said without any decision, from how addresses
    /// are given out.
    pub(crate) fn asked(&self, prefix: &TargetPrefix) -> BTreeSet<usize> {
        let prefix = prefix.net();
        if self.own_prefix().contains(&prefix) {
            return self.attached.clone();
        }
        let mut attached = self.attached.clone();
        attached.retain(|provider| IpNet::from(self.net(*provider)).contains(&prefix));
        attached
    }
}
