//! One interface: Router Advertisements in, Router Solicitations out.

use std::net::Ipv6Addr;
use std::time::Duration;

use pvd::InterfaceName;
use pvd::bindings::router_advertisement::{Received, RouterAdvertisement};
use pvd::bindings::router_solicitation::RouterSolicitation;
use tokio::sync::mpsc;

use crate::provisioning::icmpv6::{ALL_ROUTERS, Icmpv6Socket, Side};

/// How long to wait when the socket cannot be used.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A Router Advertisement that came over the link.
#[derive(Debug)]
pub(super) struct Heard {
    /// Over which.
    pub(super) interface: InterfaceName,
    /// From which router.
    pub(super) source: Ipv6Addr,
    /// It.
    pub(super) advertisement: RouterAdvertisement,
}

/// Listens for ever, and solicits when it is told to. Where nobody takes what is heard, the kernel forgets it.
pub(super) async fn attend(
    interface: InterfaceName,
    heard: mpsc::Sender<Heard>,
    mut solicit: mpsc::Receiver<()>,
) {
    loop {
        let mut socket = match Icmpv6Socket::open(&interface, Side::Host) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%interface, %error, "cannot listen; it needs root or CAP_NET_RAW");
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        loop {
            tokio::select! {
                message = socket.receive() => match message {
                    Ok(message) => {
                        let Some(advertisement) = read(&interface, message.source, &message.octets) else {
                            continue;
                        };
                        let source = message.source;
                        let interface = interface.clone();
                        if heard.send(Heard { interface, source, advertisement }).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::info!(%interface, %error, "listens anew");
                        tokio::time::sleep(AFTER_FAILURE).await;
                        break;
                    }
                },
                told = solicit.recv() => {
                    if told.is_none() {
                        return;
                    }
                    // Without a source of its own the interface has none yet; the next solicitation comes soon.
                    if let Err(error) = socket.send(&RouterSolicitation.encode(), None, ALL_ROUTERS) {
                        tracing::debug!(%interface, %error, "no solicitation could be sent");
                    }
                }
            }
        }
    }
}

fn read(interface: &InterfaceName, source: Ipv6Addr, octets: &[u8]) -> Option<RouterAdvertisement> {
    match RouterAdvertisement::decode(octets) {
        Ok(Received {
            advertisement,
            ignored,
        }) => {
            for option in ignored {
                tracing::debug!(%interface, %source, kind = option.kind, reason = %option.reason, "an option does not count");
            }
            Some(advertisement)
        }
        Err(error) => {
            tracing::debug!(%interface, %source, %error, "a Router Advertisement does not count");
            None
        }
    }
}
