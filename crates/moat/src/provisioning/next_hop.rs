//! Nothing is sent inside a PvD that would leave by another one's router (RFC 8801 §4.1).
//!
//! Where several routers share a link the kernel chooses one of them without regard to the source address, unless somebody keeps routes by
//! that. So it is asked before anything is sent: three times, for as long as it knows none of the routers it takes them in turn.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use pvd::InterfaceName;
use pvd::host::NextHops;

use crate::routing::{NextHop, next_hop};

/// How often the kernel has to say the same.
const TIMES: u8 = 3;

/// Why something is not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The kernel would give it to somebody else.
    #[error(
        "it would leave by {0}, which is no router of the PvD; `moat pvd watch --routes` keeps the routers of a link apart"
    )]
    Router(IpAddr),
    /// The kernel would give it to itself, or to another network's host.
    #[error("the kernel takes it for a neighbour, and in this PvD it is none")]
    Neighbour,
    /// The kernel would not send it.
    #[error("the kernel knows no way: {0}")]
    NoWay(io::Error),
}

/// Whether what leaves by this interface, from this address, stays in the PvD.
///
/// # Errors
/// [`Refused`]
pub(crate) async fn check(
    next_hops: &NextHops,
    interface: &InterfaceName,
    source: IpAddr,
    destination: IpAddr,
) -> Result<(), Refused> {
    for _ in 0..TIMES {
        let hop = next_hop(interface, source, destination).await;
        match hop.map_err(Refused::NoWay)? {
            NextHop::Itself => return Ok(()),
            NextHop::Router(router) if !next_hops.admit(destination, Some(router)) => {
                return Err(Refused::Router(router));
            }
            NextHop::Neighbour
                if !next_hops.admit(destination, None) && has_neighbours(interface) =>
            {
                return Err(Refused::Neighbour);
            }
            NextHop::Router(_) | NextHop::Neighbour => {}
        }
    }
    Ok(())
}

/// Whether there is more than one node at the other end.
fn has_neighbours(interface: &InterfaceName) -> bool {
    let Ok(mut entries) = getifaddrs() else {
        return true;
    };
    let alone = InterfaceFlags::IFF_POINTOPOINT | InterfaceFlags::IFF_NOARP;
    !entries.any(|it| it.interface_name == interface.as_str() && it.flags.intersects(alone))
}
