//! The sockets of provisioning domains: crates/pvd decides, this carries out.

// The router that uses the rest of it comes after it.
#[cfg_attr(not(test), allow(dead_code))]
mod icmpv6;
pub(crate) mod watch;
