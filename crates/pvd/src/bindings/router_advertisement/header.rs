//! The header of a Router Advertisement (RFC 4861 §4.2, RFC 4191 §2.2).

use super::MESSAGE_TYPE;

/// Octets of it.
pub(super) const LENGTH: usize = 16;

const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;

/// What a router says of itself and of the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The hop limit for what is sent; 0: not said.
    pub hop_limit: u8,
    /// The M-flag: addresses are assigned by DHCPv6.
    pub is_managed: bool,
    /// The O-flag: other configuration is had by DHCPv6.
    pub has_other_configuration: bool,
    /// How this default router ranks among others.
    pub preference: Preference,
    /// For how many seconds it is a default router; 0: it is none.
    pub router_lifetime: u16,
    /// For how many milliseconds a neighbour is reachable; 0: not said.
    pub reachable_time: u32,
    /// Milliseconds between Neighbor Solicitations; 0: not said.
    pub retrans_timer: u32,
}

/// The preference of a default router or of a route (RFC 4191 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preference {
    /// After others.
    Low,
    /// As without a preference.
    #[default]
    Medium,
    /// Before others.
    High,
}

impl Preference {
    /// From bits 3 and 4 of an octet; `None`: the reserved value.
    pub(super) fn from_bits(octet: u8) -> Option<Self> {
        match (octet >> 3) & 3 {
            0 => Some(Self::Medium),
            1 => Some(Self::High),
            3 => Some(Self::Low),
            _ => None,
        }
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Self::Medium => 0,
            Self::High => 1 << 3,
            Self::Low => 3 << 3,
        }
    }
}

impl Header {
    /// Type, code and checksum are the caller's: within a PvD option they do not count (RFC 8801 §3.1).
    pub(super) fn read(header: &[u8; LENGTH]) -> Self {
        let &[
            _,
            _,
            _,
            _,
            hop_limit,
            flags,
            l1,
            l0,
            a3,
            a2,
            a1,
            a0,
            r3,
            r2,
            r1,
            r0,
        ] = header;
        let router_lifetime = u16::from_be_bytes([l1, l0]);
        // Who is no default router has no preference among them, and the reserved value counts as medium (RFC 4191 §2.2).
        let preference = Preference::from_bits(flags).filter(|_| router_lifetime > 0);
        Self {
            hop_limit,
            is_managed: flags & MANAGED != 0,
            has_other_configuration: flags & OTHER != 0,
            preference: preference.unwrap_or_default(),
            router_lifetime,
            reachable_time: u32::from_be_bytes([a3, a2, a1, a0]),
            retrans_timer: u32::from_be_bytes([r3, r2, r1, r0]),
        }
    }

    pub(super) fn write(&self, message: &mut Vec<u8>) {
        let managed = if self.is_managed { MANAGED } else { 0 };
        let other = if self.has_other_configuration {
            OTHER
        } else {
            0
        };
        let preference = match self.router_lifetime {
            0 => Preference::Medium,
            _ => self.preference,
        };
        let flags = managed | other | preference.bits();
        message.extend([MESSAGE_TYPE, 0, 0, 0, self.hop_limit, flags]);
        message.extend(self.router_lifetime.to_be_bytes());
        message.extend(self.reachable_time.to_be_bytes());
        message.extend(self.retrans_timer.to_be_bytes());
    }
}
