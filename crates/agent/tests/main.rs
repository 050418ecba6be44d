//! The agents against RFC 9132, on a virtual clock: every test drives the machines directly and
//! looks at what comes out. `world` has the clock and the peers, `server::rig` and `client::rig`
//! the agent under test with invariants that hold after every step.

#![cfg(test)]

mod client;
mod gateway;
mod peers;
mod relay;
mod selection;
mod server;
mod session;
mod world;
