//! The sockets of provisioning domains: crates/pvd decides, this carries out.

// The daemons that use it come after it.
#[cfg_attr(not(test), allow(dead_code))]
mod icmpv6;
