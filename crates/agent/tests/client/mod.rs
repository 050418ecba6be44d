//! The client, by what RFC 9132 and RFC 9284 say of it.

mod absent;
mod answers;
mod asking;
mod attachments;
mod behind;
mod circles;
mod clear;
mod conflicts;
mod efficacy;
mod happy_eyeballs;
mod home;
mod homing;
mod hostile;
mod lingering;
mod mids;
mod moved;
mod moving;
mod observing;
mod polling;
mod preconfigured;
mod redirect;
mod replies;
mod reports;
mod resumption;
mod rig;
mod saturation;
mod sessions;
mod setbacks;
mod source_addresses;
mod splitting;
mod wire;
mod withdrawing;

pub(crate) use clear::Clear;
pub(crate) use replies::Asked;
pub(crate) use rig::{Behaviour, FIXED_HOST, FIXED4, FIXED6, Rig, target};
