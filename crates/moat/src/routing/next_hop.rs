//! By whom the kernel would pass something on now (`ip route get`, rtnetlink(7)).

use std::io;
use std::net::IpAddr;

use futures_util::{TryStreamExt, pin_mut};
use nix::net::if_::if_nametoindex;
use pvd::InterfaceName;
use rtnetlink::new_connection;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};

use super::message;
use super::plan::Family;

/// Who comes next on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// Nobody: the address is this node's.
    Itself,
    /// The destination: it is a neighbour, or the link has no others.
    Neighbour,
    /// This router.
    Router(IpAddr),
}

/// Asks the kernel about what leaves by this interface, from this address.
///
/// # Errors
/// Those of the system, also where it knows no way.
pub(crate) async fn next_hop(
    interface: &InterfaceName,
    source: IpAddr,
    destination: IpAddr,
) -> io::Result<NextHop> {
    let index = if_nametoindex(interface.as_str())?;
    let (connection, handle, _) = new_connection()?;
    let reader = tokio::spawn(connection);
    let mut question = RouteMessage::default();
    let header = &mut question.header;
    header.address_family = message::address_family(Family::of(destination));
    let bits = if destination.is_ipv6() { 128 } else { 32 };
    (
        header.destination_prefix_length,
        header.source_prefix_length,
    ) = (bits, bits);
    question.attributes = vec![
        RouteAttribute::Destination(destination.into()),
        RouteAttribute::Source(source.into()),
        RouteAttribute::Oif(index),
    ];
    let answers = handle.route().get(question).execute();
    pin_mut!(answers);
    let answer = answers.try_next().await;
    reader.abort();
    let answer = answer.map_err(|error| match super::kernel::code(&error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(error),
    })?;
    let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
    match answer.header.kind {
        RouteType::Local => Ok(NextHop::Itself),
        RouteType::Unicast => {
            let router = message::router(&answer.attributes);
            Ok(router.map_or(NextHop::Neighbour, NextHop::Router))
        }
        _ => Err(io::ErrorKind::NetworkUnreachable.into()),
    }
}
