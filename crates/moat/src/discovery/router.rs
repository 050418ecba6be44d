//! The router of an interface as the link layer knows it: a sign by which a network is known again.

use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;

use pvd::InterfaceName;

/// How much of a table of the kernel is read. Default routes come first.
const MOST_READ: u64 = 64 * 1024;

/// The link-layer address of the default router for IPv4, if the kernel knows it at present.
pub(super) fn link_layer_address(interface: &InterfaceName) -> Option<String> {
    let router = default_router(&read("/proc/net/route")?, interface.as_str())?;
    neighbour(&read("/proc/net/arp")?, interface.as_str(), router)
}

fn read(table: &str) -> Option<String> {
    let mut text = Vec::new();
    let file = File::open(table).ok()?;
    file.take(MOST_READ).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Interface, destination, gateway: addresses are hexadecimal, in the order of octets of this machine.
fn default_router(routes: &str, interface: &str) -> Option<Ipv4Addr> {
    routes.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        if (words.next()?, words.next()?) != (interface, "00000000") {
            return None;
        }
        let gateway = u32::from_str_radix(words.next()?, 16).ok()?;
        (gateway != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}

/// Address, hardware type, flags, link-layer address, mask, interface.
fn neighbour(entries: &str, interface: &str, address: Ipv4Addr) -> Option<String> {
    entries.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let &[of, _, _, hardware, _, on] = words.as_slice() else {
            return None;
        };
        let is_known = hardware.chars().any(|digit| !matches!(digit, '0' | ':'));
        (on == interface && of.parse() == Ok(address) && is_known).then(|| hardware.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_found_in_the_tables_of_the_kernel() {
        let octets = |text: &str| u32::from_ne_bytes(text.parse::<Ipv4Addr>().unwrap().octets());
        let routes = format!(
            "Iface\tDestination\tGateway\tFlags\n\
             mobile0\t00000000\t{:08X}\t0003\n\
             fixed0\t{:08X}\t00000000\t0001\n\
             fixed0\t00000000\t{:08X}\t0003\n",
            octets("10.0.0.1"),
            octets("192.168.1.0"),
            octets("192.168.1.1"),
        );
        let router = default_router(&routes, "fixed0").unwrap();
        assert_eq!(router, Ipv4Addr::new(192, 168, 1, 1));
        assert_eq!(default_router(&routes, "other0"), None);
        let entries = "\
IP address       HW type     Flags       HW address            Mask     Device
192.168.1.1      0x1         0x2         02:00:00:00:00:0a     *        mobile0
192.168.1.1      0x1         0x2         02:00:00:00:00:01     *        fixed0
192.168.1.9      0x1         0x0         00:00:00:00:00:00     *        fixed0
";
        let of = |address: &str| neighbour(entries, "fixed0", address.parse().unwrap());
        assert_eq!(of("192.168.1.1").as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!(of("192.168.1.9"), None);
    }
}
