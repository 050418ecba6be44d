//! Tunnels of this node, which other programs make: `moat pvd tunnel` tells `moat pvd watch` of them.
//!
//! ```text
//! charon --updown, environment--> moat pvd tunnel updown --.  socket of the daemon,
//! another VPN -----JSON---------> moat pvd tunnel up|down -+-> root or its user only --> Tunnels --> pvd::host::Host
//!                                                              file in /run <-----------'  ^
//!                                                              interfaces, addresses ------'
//! ```
//! What was told holds as long as the interface is there with an address of the tunnel, and over restarts of the daemon.

mod found;
mod known;
mod tell;
mod told;

pub(crate) use found::Found;
pub(crate) use known::Tunnels;
pub(crate) use tell::{TellError, TunnelCommand, tell};
pub(crate) use told::Told;
