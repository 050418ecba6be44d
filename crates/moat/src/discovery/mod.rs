//! The sockets and resolvers of discovery (RFC 8973): crates/discovery decides, this carries out.
//!
//! ```text
//! attachment --addresses--> driver <--packets--> packet_socket (beside the system's DHCP client)
//!                             | ^
//!                   questions v | answers
//!                           names (the resolvers of that network alone)
//! ```

mod attachment;
mod driver;
pub(crate) mod inet6;
mod names;
mod once;
mod packet_socket;
mod router;
mod watch;

pub(crate) use self::attachment::Attachment;
pub(crate) use self::driver::Wanted;
pub(crate) use self::once::{DiscoverArgs, Error, FamilyReport, Report, discover};
pub(crate) use self::packet_socket::PacketSocket;
pub(crate) use self::watch::{News, Report as NetworkReport, watch};
