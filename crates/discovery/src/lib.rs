//! Finds the DOTS agents of a network, for each interface and address family (RFC 8973 §4).
//!
//! ```text
//! interface -> dhcp::Exchange --PeerAgent, domains--> dns::Resolution --> Finding
//!                                  Procedure: what is asked next, and when again
//! ```
//! Everything here is a pure machine: datagrams, answers and the time come in, messages and queries go out. Nothing that a
//! network says is believed further than [`peer`] and [`trust`] let it.

pub mod dhcp;
pub mod dns;
pub mod finding;
pub mod peer;
pub mod procedure;
pub mod settings;
pub mod trust;

pub use finding::{Agent, Family, Finding, Interface};
pub use peer::{PeerAgent, ReferenceIdentifier};
pub use procedure::Procedure;
pub use pvd::{DomainName, HostName, NameError};
pub use settings::{Cause, Output, Settings};
pub use trust::{TrustedName, TrustedNames};
