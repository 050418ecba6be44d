//! The IPv6 addresses of an interface, with what RFC 6724 has to know of them: `/proc/net/if_inet6`.
//!
//! ```text
//! 20010db8000f00000000000000000001 02 40 00 80   fixed0
//! address                  interface  |  |  flags  name
//!                       prefix length-'  '-scope
//! ```

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use pvd::OwnAddress;
use pvd::source_address::{Kind, Stage};

const LIST: &str = "/proc/net/if_inet6";

/// Duplicate address detection is not done with it (RFC 4862 §5.4), or has found another node that has it.
const UNUSABLE: u32 = libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED;

/// An address as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) address: Ipv6Addr,
    prefix_length: u8,
    flags: u32,
}

impl Entry {
    /// As an address to send from, if it can be.
    pub(crate) fn usable(self) -> Option<OwnAddress> {
        let has = |flags| self.flags & flags != 0;
        // An optimistic address is used before the detection is done, like a deprecated one (RFC 4429 §3.3).
        let is_optimistic = has(libc::IFA_F_OPTIMISTIC) && !has(libc::IFA_F_DADFAILED);
        (is_optimistic || !has(UNUSABLE)).then_some(OwnAddress {
            address: IpAddr::V6(self.address),
            prefix_length: self.prefix_length,
            stage: match is_optimistic || has(libc::IFA_F_DEPRECATED) {
                true => Stage::Deprecated,
                false => Stage::Preferred,
            },
            kind: match has(libc::IFA_F_TEMPORARY) {
                true => Kind::Temporary,
                false => Kind::Public,
            },
        })
    }
}

/// Those of an interface, in the kernel's order.
///
/// # Errors
/// Those of the system; a system without IPv6 has no addresses.
pub(crate) fn of(interface: &str) -> io::Result<Vec<Entry>> {
    match std::fs::read_to_string(LIST) {
        Ok(list) => Ok(entries(&list, interface)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn entries(list: &str, interface: &str) -> Vec<Entry> {
    let of_interface = list.lines().filter_map(entry);
    let of_interface = of_interface.filter(|(name, _)| *name == interface);
    of_interface.map(|(_, entry)| entry).collect()
}

fn entry(line: &str) -> Option<(&str, Entry)> {
    let mut columns = line.split_ascii_whitespace();
    let (address, _interface) = (columns.next()?, columns.next()?);
    let (prefix_length, _scope) = (columns.next()?, columns.next()?);
    let (flags, name) = (columns.next()?, columns.next()?);
    let entry = Entry {
        address: u128::from_str_radix(address, 16).ok()?.into(),
        prefix_length: u8::from_str_radix(prefix_length, 16).ok()?,
        flags: u32::from_str_radix(flags, 16).ok()?,
    };
    Some((name, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "\
20010db8000f00000000000000000001 02 40 00 80   fixed0
20010db8000f00000000000000000002 02 40 00 21   fixed0
20010db8000f00000000000000000003 02 80 00 40   fixed0
20010db8000f00000000000000000004 02 40 00 44   fixed0
20010db8000f00000000000000000005 02 40 00 c8   fixed0
20010db8000a00000000000000000001 03 38 00 00  mobile0
not an address
";

    /// Covers: M-002
    #[test]
    fn the_stage_and_the_kind_of_each_address_that_can_be_sent_from_are_read() {
        let found = entries(SHOWN, "fixed0").into_iter();
        let found: Vec<_> = found.filter_map(Entry::usable).collect();
        let own = |last: u16, stage, kind| OwnAddress {
            address: Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, last).into(),
            prefix_length: 64,
            stage,
            kind,
        };
        let expected = [
            own(1, Stage::Preferred, Kind::Public),
            own(2, Stage::Deprecated, Kind::Temporary),
            own(4, Stage::Deprecated, Kind::Public),
        ];
        assert_eq!(found, expected);
        assert_eq!(entries(SHOWN, "mobile0")[0].prefix_length, 56);
        assert_eq!(entries(SHOWN, "mobile"), []);
    }
}
