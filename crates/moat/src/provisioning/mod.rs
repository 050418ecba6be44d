//! The sockets of provisioning domains: crates/pvd decides, this carries out.

pub(crate) mod advertise;
mod dane;
pub(crate) mod exec;
pub(crate) mod fetch;
mod file;
mod icmpv6;
pub(crate) mod networks;
mod next_hop;
pub(crate) mod qr;
pub(crate) mod serve;
mod shelf;
pub(crate) mod sign;
pub(crate) mod tunnel;
pub(crate) mod watch;
