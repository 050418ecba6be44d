//! Carriers of provisioning domains: each only reads and writes what it carries, and says nothing of whether that is
//! believed.
//!
//! * [`router_advertisement`]: the PvD option of IPv6 Router Advertisements (RFC 8801 §3).
//! * [`router_solicitation`]: what a host asks for them with.
//! * [`tunnel`]: what a VPN brings, in the words of none.
//! * [`ikev2`]: the same as strongSwan tells it.

pub mod ikev2;
pub mod router_advertisement;
pub mod router_solicitation;
pub mod tunnel;
