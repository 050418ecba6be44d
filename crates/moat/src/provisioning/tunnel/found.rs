//! The interfaces of this node with their addresses: getifaddrs(3).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use pvd::InterfaceName;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Of the interface; another one of the same name has another number.
    pub(crate) index: u32,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Found {
    /// All that there are.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn all() -> io::Result<BTreeMap<InterfaceName, Self>> {
        let mut all: BTreeMap<InterfaceName, Self> = BTreeMap::new();
        for entry in getifaddrs()? {
            let (Ok(name), Some(address)) = (entry.interface_name.parse(), entry.address) else {
                continue;
            };
            let found = all.entry(name).or_default();
            if let Some(address) = address.as_sockaddr_in() {
                found.addresses.push(address.ip().into());
            } else if let Some(address) = address.as_sockaddr_in6() {
                found.addresses.push(address.ip().into());
            }
        }
        for (name, found) in &mut all {
            // Gone meanwhile, it has none.
            found.index = if_nametoindex(name.as_str()).unwrap_or_default();
        }
        Ok(all)
    }
}
