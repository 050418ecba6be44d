//! Discovery on one interface for as long as the client runs, whatever becomes of the interface.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use discovery::{Cause, Family, Finding, ReferenceIdentifier};
use pvd::{InterfaceName, PvdId};
use tokio::sync::mpsc;

use super::attachment::{Attachment, Place};
use super::driver::{Driver, Event, Wanted};
use crate::netlink::Interfaces;

/// How often more, and how soon, an interface is looked at that may be in another network.
const LOOKS_FOR_ROUTER: u32 = 3;
const LOOK_FOR_ROUTER: Duration = Duration::from_secs(2);

/// How long to wait when no socket can be opened.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// What was learned of a PvD.
#[derive(Debug)]
pub(crate) struct Report {
    /// Of which.
    pub(crate) pvd: PvdId,
    /// What.
    pub(crate) news: News,
}

/// What is different now.
#[derive(Debug)]
pub(crate) enum News {
    /// The interface has these addresses.
    Attached(Attachment),
    /// It is in another network; nothing that was found counts any more.
    Elsewhere,
    /// These servers serve, and these resolvers beside them.
    Found(Finding, Vec<SocketAddr>),
    /// With this family there are none.
    Nothing(Family),
    /// Somebody was named who is not trusted.
    Refused(ReferenceIdentifier),
}

/// Reports what the interface has, and, if servers are wanted, those that are found there. A doubt whether they are of use
/// any more has the network asked again. Ends when nobody listens.
pub(crate) async fn watch(
    pvd: PvdId,
    interface: InterfaceName,
    wanted: Option<Wanted>,
    (reports, mut doubts): (mpsc::Sender<Report>, mpsc::Receiver<()>),
) {
    let report = |news| {
        let pvd = pvd.clone();
        reports.send(Report { pvd, news })
    };
    let mut known: Option<Attachment> = None;
    // A new driver goes on with what an earlier one found: it may be an attack that makes a new one necessary.
    let mut in_use = BTreeMap::new();
    let mut looks = 0;
    let mut changes = Interfaces::listen();
    'look: while !reports.is_closed() {
        // Without the interface what was found before stays: it may be back before anybody needs it.
        let found = Attachment::of(&interface).ok().flatten();
        if let Some(attachment) = found.filter(|found| !found.addresses.is_empty()) {
            match known.as_ref().map(|known| known.place(&attachment)) {
                Some(Place::Unclear) if looks < LOOKS_FOR_ROUTER => {
                    looks += 1;
                    tokio::time::sleep(LOOK_FOR_ROUTER).await;
                    continue;
                }
                Some(Place::Unclear | Place::Other) => {
                    in_use.clear();
                    if report(News::Elsewhere).await.is_err() {
                        return;
                    }
                }
                Some(Place::Same) | None => {}
            }
            looks = 0;
            if known
                .as_ref()
                .is_none_or(|known| !known.is_unchanged(&attachment))
                && report(News::Attached(attachment.clone())).await.is_err()
            {
                return;
            }
            let known = known.insert(attachment.clone());
            if let Some(wanted) = &wanted {
                let mut driver = match Driver::new(&attachment, wanted, &in_use) {
                    Ok(driver) => driver,
                    Err(error) if is_gone(&error) => {
                        changes.next().await;
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(%pvd, %interface, %error, "cannot discover; it needs root or CAP_NET_RAW");
                        tokio::time::sleep(AFTER_FAILURE).await;
                        continue;
                    }
                };
                loop {
                    let event = match next(&mut driver, known, &mut changes, &mut doubts).await {
                        Some(Ok(event)) => event,
                        // The interface is gone, and the kernel will tell when it is back.
                        Some(Err(_)) => break,
                        None => continue 'look,
                    };
                    let news = match event {
                        Event::Found(finding) => {
                            in_use.insert(finding.family, finding.clone());
                            News::Found(finding, driver.resolvers())
                        }
                        Event::Nothing(family) => {
                            in_use.remove(&family);
                            News::Nothing(family)
                        }
                        Event::Refused(_, who) => News::Refused(who),
                    };
                    if report(news).await.is_err() {
                        return;
                    }
                }
            }
        }
        changes.next().await;
    }
}

/// Whether the interface went after it was looked at.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
}

/// The next event; `None` once the interface is not as it was.
async fn next(
    driver: &mut Driver,
    attachment: &mut Attachment,
    changes: &mut Interfaces,
    doubts: &mut mpsc::Receiver<()>,
) -> Option<io::Result<Event>> {
    loop {
        tokio::select! {
            event = driver.next() => return Some(event),
            Some(()) = doubts.recv() => driver.restart(Cause::AgentUnusable),
            () = changes.next() => {
                let now = Attachment::of(&attachment.interface.name).ok().flatten();
                let now = now.filter(|now| attachment.is_unchanged(now))?;
                attachment.learn_router(&now);
            }
        }
    }
}
