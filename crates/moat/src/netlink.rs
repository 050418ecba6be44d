//! Word of changes in the kernel: links, addresses, routes (rtnetlink(7)).

use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Changes come in flocks, as when a link goes down; so long is waited for the rest of them.
const FLOCK: Duration = Duration::from_millis(100);

/// What changes in the kernel. Its messages are read by a task of its own, which ends with it.
pub(crate) struct Changes {
    messages: Pin<Box<dyn Stream<Item = NetlinkMessage<RouteNetlinkMessage>>>>,
    reader: JoinHandle<()>,
    /// Something came of which nobody was told yet, and until then the rest is waited for.
    pending_until: Option<Instant>,
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
            pending_until: None,
        })
    }

    /// Waits until something may be different, and for the rest of the flock. `None`: the connection is over. Whoever waits no
    /// longer is told the next time.
    pub(crate) async fn next(&mut self) -> Option<()> {
        loop {
            let Some(until) = self.pending_until else {
                if matters(&self.messages.next().await?) {
                    self.pending_until = Some(Instant::now() + FLOCK);
                }
                continue;
            };
            let more = tokio::time::timeout_at(until, self.messages.next()).await;
            // That it is over, the next call tells.
            if !matches!(more, Ok(Some(_))) || until <= Instant::now() {
                self.pending_until = None;
                return Some(());
            }
        }
    }
}

/// How often interfaces are looked at though the kernel tells of no change: who the router is may show only now.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Word of changes of links and of their addresses. Without it they are noticed late.
pub(crate) struct Interfaces {
    changes: Option<Changes>,
    again: Interval,
}

impl Interfaces {
    /// Listens.
    pub(crate) fn listen() -> Self {
        let mut again = tokio::time::interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            changes: Self::changes(),
            again,
        }
    }

    fn changes() -> Option<Changes> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ];
        let changes = Changes::of(&groups);
        if let Err(error) = &changes {
            tracing::warn!(%error, "changes of interfaces are noticed late");
        }
        changes.ok()
    }

    /// Waits until an interface may be different. Whoever waits no longer is told the next time.
    pub(crate) async fn next(&mut self) {
        let change = async {
            match &mut self.changes {
                Some(changes) => changes.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            change = change => if change.is_none() {
                self.changes = None;
            },
            _ = self.again.tick() => if self.changes.is_none() {
                self.changes = Self::changes();
            },
        }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use rtnetlink::packet_core::NetlinkHeader;
    use rtnetlink::packet_route::link::LinkMessage;

    use super::*;

    fn link() -> NetlinkMessage<RouteNetlinkMessage> {
        let payload = RouteNetlinkMessage::NewLink(LinkMessage::default());
        NetlinkMessage::new(
            NetlinkHeader::default(),
            NetlinkPayload::InnerMessage(payload),
        )
    }

    fn told(messages: impl Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + 'static) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut changes = Changes {
                messages: Box::pin(messages),
                reader: tokio::spawn(std::future::pending()),
                pending_until: None,
            };
            let busy = Duration::from_millis(5);
            for _ in 0..10_000 {
                if let Ok(told) = tokio::time::timeout(busy, changes.next()).await {
                    assert_eq!(told, Some(()));
                    return;
                }
            }
            panic!("it is never told");
        });
    }

    #[test]
    fn a_change_is_told_to_whoever_never_waits_for_long() {
        told(stream::once(async { link() }).chain(stream::pending()));
    }

    #[test]
    fn a_change_is_told_also_where_changes_never_end() {
        told(stream::repeat_with(link));
    }
}
