//! The behaviour of the endpoint, by RFC section. `rig` has the virtual clock and a hand-driven
//! peer, `stream_rig` one for streams.

#![cfg(test)]

mod arbitrary;
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
mod stream;
mod stream_codec;
mod stream_pair;
mod stream_rig;
mod stream_signaling;
mod unreliable;
