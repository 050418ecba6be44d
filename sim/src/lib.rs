//! Networks of DOTS agents on a virtual clock, from a seed.
//!
//! The agents are the real ones of the `agent` crate; only what surrounds them is made here: a
//! session without encryption ([`plaintext`]), a network that loses, delays, reorders, duplicates
//! and falls apart ([`network`]), processes that die, wall clocks that jump, networks that come, go and renumber, mitigators that fail,
//! and the [`world`] that carries out the agents' actions and checks what must hold of what each
//! step touched, and once a minute of all. A [`storm`] is a run in which all of that happens. The same seed gives the same run.

pub mod clocks;
mod fuse;
pub mod home;
pub mod identity;
mod ledger;
mod manners;
mod mitigator;
pub mod network;
pub mod plaintext;
pub mod provider;
pub mod site;
pub mod storm;
mod truth;
pub mod world;
