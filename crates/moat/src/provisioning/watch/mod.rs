//! `moat pvd watch`: the PvDs of this node, known to every program on it (RFC 8801 §3.4).
//!
//! ```text
//! interface (ICMPv6) --Heard--> daemon: pvd::host::Host --Fetch--> fetch, inside the PvD
//! link, addresses    -------->    |  ^---- what came of it ---------'
//! api: tunnel, or its end ---->   |
//! DHCP, asked        --leases-->  |
//!                                 |--> choice: pvd::selection::Selection --Probe--> probe, inside the PvD
//!                                 |      `--> routes: by source address, and for what is new
//!                                 `--> views --> api: `moat pvd list`, applications
//! ```

mod api;
mod args;
mod ask;
mod choice;
mod daemon;
mod fetching;
mod interface;
mod leases;
mod link;
mod objects;
mod probe;
mod routes;
mod tunnels;
mod view;
mod waiting;

pub(crate) use self::api::{Event, Question, Taken};
pub(crate) use self::args::{DEFAULT_CONTROL, ReadArgs, ReadOneArgs, WatchArgs};
pub(crate) use self::ask::{AskError, change, follow, list, object, one, shelf, signed};
pub(crate) use self::daemon::{Error, run};
pub(crate) use self::view::{AddressView, DOTS_SERVERS, DomainView, NameView, ShelvedView};
