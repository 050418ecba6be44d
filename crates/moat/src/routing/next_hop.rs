//! By whom the kernel would pass something on now (`ip route get`, rtnetlink(7)).

use std::io;
use std::net::IpAddr;

use futures_util::{TryStreamExt, pin_mut};
use nix::net::if_::if_nametoindex;
use pvd::InterfaceName;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, new_connection};

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
/// What is sent over a socket that is bound to an interface leaves by that. A question with a source gets the route that is best without
/// regard to interfaces (`ip6_route_output`); where that is by another one, it is asked without.
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
    let mut found = ask(&handle, index, Some(source), destination).await;
    if matches!(&found, Ok(answer) if !leaves_by(answer, index)) {
        found = ask(&handle, index, None, destination).await;
    }
    reader.abort();
    let answer = found?;
    match answer.header.kind {
        RouteType::Local => Ok(NextHop::Itself),
        RouteType::Unicast if leaves_by(&answer, index) => {
            let router = message::router(&answer.attributes);
            Ok(router.map_or(NextHop::Neighbour, NextHop::Router))
        }
        _ => Err(io::ErrorKind::NetworkUnreachable.into()),
    }
}

async fn ask(
    handle: &Handle,
    interface: u32,
    source: Option<IpAddr>,
    destination: IpAddr,
) -> io::Result<RouteMessage> {
    let mut question = RouteMessage::default();
    let header = &mut question.header;
    header.address_family = message::address_family(Family::of(destination));
    let bits = if destination.is_ipv6() { 128 } else { 32 };
    header.destination_prefix_length = bits;
    header.source_prefix_length = source.map_or(0, |_| bits);
    let source = source.map(|it| RouteAttribute::Source(it.into()));
    let to = RouteAttribute::Destination(destination.into());
    question.attributes = vec![to, RouteAttribute::Oif(interface)];
    question.attributes.extend(source);
    let answers = handle.route().get(question).execute();
    pin_mut!(answers);
    let answer = answers.try_next().await;
    let answer = answer.map_err(|error| match super::kernel::code(&error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::other(error),
    })?;
    answer.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Whether it leaves by the interface, or stays here.
fn leaves_by(answer: &RouteMessage, interface: u32) -> bool {
    let is_local = answer.header.kind == RouteType::Local;
    is_local || answer.attributes.contains(&RouteAttribute::Oif(interface))
}
