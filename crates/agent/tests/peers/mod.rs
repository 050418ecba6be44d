//! The deployed open implementation as it behaves on the wire: what its clients and servers send is
//! written here octet by octet, not by our encoders.
//!
//! * `clients`: its clients, and our server.
//! * `servers`: its servers, and our client.
//! * `faults`: what is known to go wrong with it, and must not with us.

mod clients;
mod faults;
mod line;
mod provider;
mod servers;
mod wire;
