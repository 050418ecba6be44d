//! Word of changes in the kernel: links, addresses, routes (rtnetlink(7)).

use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;

/// Changes come in flocks, as when a link goes down; so long is waited for the rest of them.
const FLOCK: Duration = Duration::from_millis(100);

/// What changes in the kernel. Its messages are read by a task of its own, which ends with it.
pub(crate) struct Changes {
    messages: Pin<Box<dyn Stream<Item = NetlinkMessage<RouteNetlinkMessage>>>>,
    reader: JoinHandle<()>,
    /// Something came of which nobody was told yet.
    is_pending: bool,
}

impl Changes {
    /// Listens to these. What is asked of the kernel goes another way: here a flood of changes may drown the answers.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn of(groups: &[MulticastGroup]) -> io::Result<Self> {
        let (connection, _, messages) = new_multicast_connection(groups)?;
        Ok(Self {
            messages: Box::pin(messages.map(|(message, _)| message)),
            reader: tokio::spawn(connection),
            is_pending: false,
        })
    }

    /// Waits until something may be different, and for the rest of the flock. `None`: the connection is over. Whoever waits no
    /// longer is told the next time.
    pub(crate) async fn next(&mut self) -> Option<()> {
        while !self.is_pending {
            self.is_pending = matters(&self.messages.next().await?);
        }
        let rest = async { while self.messages.next().await.is_some() {} };
        // What comes later than that is read by the next call.
        drop(tokio::time::timeout(FLOCK, rest).await);
        self.is_pending = false;
        Some(())
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Whether it is more than one of the million routes that a router may learn.
fn matters(message: &NetlinkMessage<RouteNetlinkMessage>) -> bool {
    match &message.payload {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route),
        ) => route.header.destination_prefix_length == 0,
        // Some were lost, if it is an overrun.
        NetlinkPayload::InnerMessage(_) | NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}
