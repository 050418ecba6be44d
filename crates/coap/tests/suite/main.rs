//! The behaviour of the endpoint, by RFC section. `rig` has the virtual clock and the hand-driven
//! peer.

#![cfg(test)]

mod codec;
mod hostile;
mod network;
mod observe;
mod rejection;
mod reliable;
mod rig;
mod unreliable;
