//! Carriers of provisioning domains: each only reads and writes what it carries, and says nothing of whether that is
//! believed.
//!
//! * [`router_advertisement`]: the PvD option of IPv6 Router Advertisements (RFC 8801 §3).

pub mod router_advertisement;
