//! The daemon: what comes from links, the kernel and servers goes to the host, and what it wants is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pvd::host::{Action, Fetching, Host, Settings};
use pvd::{InterfaceName, OwnAddress};
use rtnetlink::MulticastGroup;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::api;
use super::args::{WatchArgs, Watched};
use super::interface::{Heard, attend};
use super::link::{self, Link};
use super::view::{DomainView, domains};
use crate::clock;
use crate::control::{self, BindError};
use crate::daemon::{self, SystemError, system};
use crate::discovery::Attachment;
use crate::netlink::Changes;
use crate::shutdown::signals;

/// How often the interfaces are looked at though the kernel tells of no change.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Changes come in flocks; so long is waited for the rest before programs are told.
const FLOCK: Duration = Duration::from_millis(100);
/// Messages that may wait; the kernel keeps, and then drops, what comes meanwhile.
const MAX_WAITING: usize = 64;
/// At least between two logs of what routers should not say.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its socket.
    #[error(transparent)]
    Control(#[from] BindError),
    /// The system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Watches until it is told to end.
///
/// # Errors
/// [`Error`]
pub(crate) fn run(args: &WatchArgs) -> Result<(), Error> {
    daemon::run(&[], watch_all(args))
}

async fn watch_all(args: &WatchArgs) -> Result<(), Error> {
    let mut signals = signals().map_err(system("listen to signals"))?;
    let listener = control::bind_for_everybody(&args.control)?;
    let seed = clock::short_seed().map_err(system("get a seed"))?;
    let (publish, known) = watch::channel(Arc::new(Vec::new()));
    let (heard, mut hearing) = mpsc::channel(MAX_WAITING);
    let host = Host::new(settings(), fastrand::Rng::with_seed(seed));
    let mut daemon = Daemon::new(host, &args.interfaces, heard, publish);
    let mut changes = listen();
    daemon.look();
    daemon.act();
    tokio::task::spawn_local(api::serve(listener, known));
    tracing::info!("watches; `moat pvd list` shows what it knows");
    loop {
        let timeout = daemon.poll_timeout();
        tokio::select! {
            () = signals.recv() => return Ok(()),
            Some(heard) = hearing.recv() => daemon.hear(&heard),
            is_over = next(&mut changes) => {
                if is_over {
                    changes = listen();
                }
                daemon.look();
            }
            () = sleep_until(timeout.into()) => daemon.handle_timeout(),
        }
        daemon.act();
    }
}

/// Nothing is fetched: what Router Advertisements say is all that is known.
fn settings() -> Settings {
    Settings {
        fetching: Fetching::Nobody,
        ..Settings::default()
    }
}

/// Word of changes of links and addresses; without it they are noticed late.
fn listen() -> Option<Changes> {
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

/// Waits until an interface may be different; whether nothing more is heard of them.
async fn next(changes: &mut Option<Changes>) -> bool {
    let change = async {
        match changes {
            Some(changes) => changes.next().await,
            None => std::future::pending().await,
        }
    };
    let change = tokio::time::timeout(LOOK_AGAIN, change).await;
    change == Ok(None) || changes.is_none()
}

/// An interface, as it was when it was last looked at.
struct Interface {
    watched: Watched,
    link: Option<Link>,
    addresses: Vec<OwnAddress>,
    listener: Option<Listener>,
}

/// The task that listens on an interface; it ends with this.
struct Listener {
    index: u32,
    solicit: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Daemon {
    host: Host,
    interfaces: BTreeMap<InterfaceName, Interface>,
    heard: mpsc::Sender<Heard>,
    publish: watch::Sender<Arc<Vec<DomainView>>>,
    /// When programs are to be told.
    publish_at: Option<Instant>,
    complained: (Option<Instant>, BTreeSet<String>),
}

impl Daemon {
    fn new(
        host: Host,
        watched: &[Watched],
        heard: mpsc::Sender<Heard>,
        publish: watch::Sender<Arc<Vec<DomainView>>>,
    ) -> Self {
        let interfaces = watched.iter().map(|watched| {
            let interface = Interface {
                watched: watched.clone(),
                link: None,
                addresses: Vec::new(),
                listener: None,
            };
            (watched.name.clone(), interface)
        });
        Self {
            host,
            interfaces: interfaces.collect(),
            heard,
            publish,
            publish_at: None,
            complained: (None, BTreeSet::new()),
        }
    }

    /// Looks at all interfaces.
    fn look(&mut self) {
        let now = clock::host_now();
        for (name, interface) in &mut self.interfaces {
            let link = link::look(name).map(|link| Link {
                evidence: interface.watched.link.unwrap_or(link.evidence),
                ..link
            });
            let attachment = |link: Option<Link>| link.map(|it| (it.index, it.carrier_changes));
            match link {
                Some(link) if attachment(interface.link) != attachment(Some(link)) => {
                    tracing::info!(interface = %name, link = %link.evidence, "attached");
                    interface.addresses = Vec::new();
                    interface.listen(&self.heard, link.index);
                    self.host.handle_attached(name, link.evidence, now);
                }
                None if interface.link.is_some() => {
                    tracing::info!(interface = %name, "detached");
                    self.host.handle_detached(name, now);
                }
                _ => {}
            }
            interface.link = link;
            let found = Attachment::of(name).ok().flatten();
            let addresses = found.map_or_else(Vec::new, |found| found.addresses);
            if addresses != interface.addresses {
                interface.addresses.clone_from(&addresses);
                self.host.handle_addresses(name, addresses, now);
            }
        }
    }

    fn hear(&mut self, heard: &Heard) {
        let now = clock::host_now();
        let Heard {
            interface,
            source,
            advertisement,
        } = heard;
        self.host
            .handle_advertisement(interface, *source, advertisement, now);
    }

    fn poll_timeout(&self) -> Instant {
        let times = [self.host.poll_timeout(), self.publish_at];
        let first = times.into_iter().flatten().min();
        first.unwrap_or_else(|| clock::host_now().instant + LOOK_AGAIN)
    }

    fn handle_timeout(&mut self) {
        let now = clock::host_now();
        if self.host.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.host.handle_timeout(now);
        }
        if self.publish_at.is_some_and(|at| at <= now.instant) {
            self.publish_at = None;
            self.complain(now.instant);
            self.publish
                .send_replace(Arc::new(domains(&self.host, now)));
        }
    }

    /// Logs what routers should not say, when it is new, and not as often as somebody would like who forges it.
    fn complain(&mut self, now: Instant) {
        let (last, told) = &mut self.complained;
        let faults = self.host.misconfigurations();
        let faults: BTreeSet<_> = faults.map(|(on, fault)| format!("{on}: {fault}")).collect();
        if faults == *told || last.is_some_and(|last| last + BETWEEN_COMPLAINTS > now) {
            return;
        }
        for fault in faults.difference(told) {
            tracing::warn!("{fault}");
        }
        self.complained = (Some(now), faults);
    }

    /// Does what the host wants.
    fn act(&mut self) {
        while let Some(action) = self.host.poll_action() {
            match action {
                // There are none where nobody is asked.
                Action::Fetch(_) | Action::Abandon(_) => {}
                Action::Solicit(name) => {
                    let interface = self.interfaces.get(&name);
                    if let Some(listener) = interface.and_then(|it| it.listener.as_ref()) {
                        // One that waits is as good as two.
                        let _waits = listener.solicit.try_send(());
                    }
                }
                Action::Changed => {
                    let soon = clock::host_now().instant + FLOCK;
                    self.publish_at.get_or_insert(soon);
                }
            }
        }
    }
}

impl Interface {
    /// Listens on this interface, and no more on another one that had its name.
    fn listen(&mut self, heard: &mpsc::Sender<Heard>, index: u32) {
        if self
            .listener
            .as_ref()
            .is_some_and(|listener| listener.index == index)
        {
            return;
        }
        let (solicit, told) = mpsc::channel(1);
        let task = attend(self.watched.name.clone(), heard.clone(), told);
        self.listener = Some(Listener {
            index,
            solicit,
            task: tokio::task::spawn_local(task),
        });
    }
}
