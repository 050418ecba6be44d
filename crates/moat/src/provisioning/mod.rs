//! The sockets of provisioning domains: crates/pvd decides, this carries out.

pub(crate) mod advertise;
mod icmpv6;
pub(crate) mod sign;
pub(crate) mod watch;
