//! The DOTS agents as pure state machines: no socket, no clock, no task.
//!
//! * [`session`]: one signal channel session, common to all agents.
//! * [`server`]: authorises, promises, enforces, reports.
//! * [`client`]: keeps a session with every server of every PvD and asks the right ones.
//! * [`gateway`]: relays: a server to the inside, a client to the outside.
//! * [`relay`]: what a gateway does about loops.
//! * [`server_selection`]: the multihoming decision, with its reasons.
//! * [`transport`]: the two names of what carries a session.
//!
//! Time comes in as an argument, effects go out as values ([`client::Action`],
//! [`server::Action`]); the runtime carries them out in order.

pub mod client;
mod content;
pub mod gateway;
mod prefix_index;
pub mod relay;
pub mod server;
pub mod server_selection;
pub mod session;
mod time;
pub mod transport;

pub use time::Now;
