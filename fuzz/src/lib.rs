//! What the fuzz targets assert, one function for each: whatever a peer sends is understood or refused, what is
//! understood is written as it was read, and nothing grows beyond its limit.
//!
//! `fuzz/run` builds and runs the targets; see there.

mod channel;
mod codec;
mod dhcp;
mod door;
mod drive;
mod information;
mod message;
mod router_advertisement;
mod signed_object;

pub use channel::uri;
pub use codec::{coap_message, coap_stream};
pub use dhcp::{dhcpv4_acknowledgement, dhcpv6_reply};
pub use door::{client_hello, cookie_door};
pub use drive::{datagram_endpoint, stream_endpoint};
pub use information::additional_information;
pub use message::{
    configuration_report, configuration_request, efficacy_update, granted, heartbeat,
    mitigation_report, mitigation_request, redirect, refusal,
};
pub use router_advertisement::router_advertisement;
pub use signed_object::signed_object;
