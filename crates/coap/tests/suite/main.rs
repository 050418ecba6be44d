//! The behaviour of the endpoint, by RFC section. `rig` has the virtual clock and the hand-driven
//! peer.

#![cfg(test)]

mod block1_receiving;
mod block1_sending;
mod block2_receiving;
mod block2_sending;
mod codec;
mod hostile;
mod network;
mod network_blocks;
mod observe;
mod rejection;
mod reliable;
mod rig;
mod unreliable;
