//! Addresses that a NAT beside the gateway rewrites (RFC 9132 §3): servers upstream are asked for
//! what their network sees.

use std::net::IpAddr;

use dots::target::{Target, TargetPrefix};
use ipnet::IpNet;

/// One rule of the NAT: what is seen outside of what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    inside: IpNet,
    outside: IpNet,
}

/// Why two prefixes are no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// IPv4 behind IPv6, or the reverse.
    #[error("both sides of a NAT rule are IPv4, or both IPv6")]
    Family,
    /// Neither one to one nor many to one.
    #[error("the outside of a NAT rule is as long as the inside, or one address for all of it")]
    Length,
}

impl Rule {
    /// A rule that replaces the prefix and keeps what follows it, or that hides all of the inside
    /// behind one address.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn new(inside: IpNet, outside: IpNet) -> Result<Self, RuleError> {
        let is_address = outside.prefix_len() == outside.max_prefix_len();
        if inside.addr().is_ipv4() != outside.addr().is_ipv4() {
            Err(RuleError::Family)
        } else if inside.prefix_len() != outside.prefix_len() && !is_address {
            Err(RuleError::Length)
        } else {
            let (inside, outside) = (inside.trunc(), outside.trunc());
            Ok(Self { inside, outside })
        }
    }

    /// What is seen of a prefix that lies inside.
    fn seen(&self, net: IpNet) -> IpNet {
        if self.inside.prefix_len() != self.outside.prefix_len() {
            return self.outside;
        }
        let address = match (net.addr(), self.outside, self.inside) {
            (IpAddr::V4(address), IpNet::V4(outside), _) => {
                let host = address.to_bits() & outside.hostmask().to_bits();
                IpAddr::V4((outside.network().to_bits() | host).into())
            }
            (IpAddr::V6(address), IpNet::V6(outside), _) => {
                let host = address.to_bits() & outside.hostmask().to_bits();
                IpAddr::V6((outside.network().to_bits() | host).into())
            }
            (address, ..) => address,
        };
        IpNet::new(address, net.prefix_len()).unwrap_or(self.outside)
    }
}

/// All rules. An address that none names is the same on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translation(Vec<Rule>);

impl FromIterator<Rule> for Translation {
    fn from_iter<T: IntoIterator<Item = Rule>>(rules: T) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Translation {
    /// What a network outside sees of a target. Ports stay as they are.
    pub fn outside(&self, target: &Target) -> Target {
        let mut prefixes: Vec<TargetPrefix> = Vec::new();
        for prefix in &target.prefixes {
            prefixes.extend(self.seen_of(prefix));
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        Target {
            prefixes,
            ..target.clone()
        }
    }

    /// What a network outside sees of a prefix.
    pub(super) fn seen_of(&self, prefix: &TargetPrefix) -> Vec<TargetPrefix> {
        let seen = self.seen(prefix.net()).into_iter();
        seen.filter_map(|net| TargetPrefix::try_from(net).ok())
            .collect()
    }

    /// The longest rule around a prefix, and those inside it, of which the NAT takes the longest for each address. A
    /// prefix that reaches beyond the rules is replaced by what is seen of those inside it, if there are any.
    fn seen(&self, net: IpNet) -> Vec<IpNet> {
        let around = self.0.iter().filter(|rule| rule.inside.contains(&net));
        let around = around.max_by_key(|rule| rule.inside.prefix_len());
        let is_within = |rule: &&Rule| net.contains(&rule.inside) && rule.inside != net;
        let within = self.0.iter().filter(is_within).map(|rule| rule.outside);
        let around = around.map(|rule| rule.seen(net));
        let seen: Vec<IpNet> = around.into_iter().chain(within).collect();
        match seen.is_empty() {
            true => vec![net],
            false => seen,
        }
    }
}
