//! Networks of DOTS agents on a virtual clock, from a seed.
//!
//! The agents are the real ones of the `agent` crate; only what surrounds them is made here: a
//! session without encryption ([`plaintext`]), a network that loses, delays, reorders and
//! duplicates ([`network`]), and the world that carries out their actions ([`world`]). The same
//! seed gives the same run.

pub mod network;
pub mod plaintext;
pub mod world;
