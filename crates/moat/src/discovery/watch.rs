//! Discovery on one interface for as long as the client runs, whatever becomes of the interface.

use std::net::SocketAddr;
use std::time::Duration;

use discovery::{Cause, Family, Finding, ReferenceIdentifier};
use pvd::{InterfaceName, PvdId};
use tokio::sync::mpsc;

use super::attachment::Attachment;
use super::driver::{Driver, Event, Wanted};

/// How often the interface is looked at. A network that came or went is noticed after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

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
    let mut known = None;
    while !reports.is_closed() {
        // Without the interface what was found before stays: it may be back before anybody needs it.
        let found = Attachment::of(&interface).ok().flatten();
        if let Some(attachment) = found.filter(|found| !found.addresses.is_empty()) {
            if known.as_ref() != Some(&attachment)
                && report(News::Attached(attachment.clone())).await.is_err()
            {
                return;
            }
            known = Some(attachment.clone());
            if let Some(wanted) = &wanted {
                let mut driver = match Driver::new(&attachment, wanted) {
                    Ok(driver) => driver,
                    Err(error) => {
                        tracing::warn!(%pvd, %interface, %error, "cannot discover; it needs root or CAP_NET_RAW");
                        tokio::time::sleep(AFTER_FAILURE).await;
                        continue;
                    }
                };
                while let Some(event) = next(&mut driver, &attachment, &mut doubts).await {
                    let news = match event {
                        Event::Found(finding) => News::Found(finding, driver.resolvers()),
                        Event::Nothing(family) => News::Nothing(family),
                        Event::Refused(_, who) => News::Refused(who),
                    };
                    if report(news).await.is_err() {
                        return;
                    }
                }
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The next event; `None` once the interface is not as it was.
async fn next(
    driver: &mut Driver,
    attachment: &Attachment,
    doubts: &mut mpsc::Receiver<()>,
) -> Option<Event> {
    loop {
        tokio::select! {
            event = driver.next() => return event.ok(),
            Some(()) = doubts.recv() => driver.restart(Cause::AgentUnusable),
            () = tokio::time::sleep(LOOK_AGAIN) => {
                let now = Attachment::of(&attachment.interface.name).ok().flatten();
                if now.as_ref() != Some(attachment) {
                    return None;
                }
            }
        }
    }
}
