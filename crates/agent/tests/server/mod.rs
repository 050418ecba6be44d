//! The server, by what RFC 9132 says of it.

mod aliases;
mod ask;
mod conflicts;
mod content;
mod delete;
mod domains;
mod efficacy;
mod limits;
mod lookups;
mod loss;
mod names;
mod observers;
mod overlap;
mod paths;
mod progress;
mod put;
mod redirects;
mod refresh;
mod relaying;
mod restart;
mod rig;
mod sessions;
mod status;
mod terminating;
