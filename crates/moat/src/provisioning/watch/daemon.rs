//! The daemon: what comes from links, the kernel and servers goes to the host, and what it wants is done.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pvd::host::{Action, Failure, FailureKind, Fetched, Fetching, Host, OrderNumber, Settings};
use pvd::selection::{Answer, ProbeNumber};
use pvd::{InterfaceName, OwnAddress};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet};
use tokio::time::sleep_until;

use super::api::{self, Change};
use super::args::{WatchArgs, Watched, Whose};
use super::choice::Choice;
use super::fetching;
use super::interface::{Heard, attend};
use super::leases::{Inquiries, Said};
use super::link::{self, Link};
use super::objects::Objects;
use super::tunnels::HostTunnels;
use super::view::Known;
use crate::clock;
use crate::control::{self, BindError};
use crate::daemon::{self, SystemError, system};
use crate::discovery::Attachment;
use crate::netlink::Interfaces;
use crate::provisioning::fetch::{Environment, TrustError};
use crate::provisioning::shelf;
use crate::shutdown::{Told, signals};

/// Changes come in flocks; so long is waited for the rest before programs are told.
const FLOCK: Duration = Duration::from_millis(100);
/// So long they may not know that the same holds for longer.
const RENEWALS: Duration = Duration::from_secs(5);
/// Messages that may wait; the kernel keeps, and then drops, what comes meanwhile.
const MAX_WAITING: usize = 64;
/// At least between two logs of what routers should not say.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(10);

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Whom to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Where objects are kept.
    #[error("{}: {error}", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
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
    let environment = Environment::new(&args.trust, &args.dane, true)?;
    daemon::run(&[], watch_all(args, environment))
}

async fn watch_all(args: &WatchArgs, environment: Environment) -> Result<(), Error> {
    let mut signals = signals().map_err(system("listen to signals"))?;
    let listener = control::bind_for_everybody(&args.control)?;
    let seed = clock::short_seed().map_err(system("get a seed"))?;
    let (publish, known) = watch::channel(Arc::new(Known::default()));
    let (heard, mut hearing) = mpsc::channel(MAX_WAITING);
    let host = Host::new(settings(args), fastrand::Rng::with_seed(seed));
    let (change, mut changes) = mpsc::channel(MAX_WAITING);
    let random = fastrand::Rng::with_seed(seed.rotate_left(32));
    let choice = Choice::new(args.selection(), random, args.routes);
    let (inquiries, mut answers) = Inquiries::new();
    let mut daemon = Daemon::new(host, choice, args, environment, heard, inquiries, publish);
    let mut interfaces = Interfaces::listen();
    if let Some(folder) = &args.cache {
        let remembered = daemon.objects.remember(folder, &mut daemon.host);
        remembered.map_err(|error| Error::Cache {
            folder: folder.clone(),
            error,
        })?;
    }
    let brought = shelf::watch(args.objects.clone(), daemon.objects.judge());
    let mut brought = brought.map_err(system("start a thread"))?;
    daemon.look();
    daemon.act();
    tokio::task::spawn_local(api::serve(listener, known, change));
    tracing::info!("watches; `moat pvd list` shows what it knows");
    loop {
        let timeout = daemon.poll_timeout();
        tokio::select! {
            told = signals.told() => match told {
                Told::End => {
                    daemon.stop().await;
                    return Ok(());
                }
                Told::Look => daemon.look(),
            },
            Some(heard) = hearing.recv() => daemon.hear(&heard),
            Some(brought) = brought.recv() => daemon.objects.take(brought, &mut daemon.host),
            Some(answered) = daemon.objects.answered() => daemon.objects.confirm(answered, &mut daemon.host),
            Some(change) = changes.recv() => daemon.change(change),
            Some(said) = answers.recv() => daemon.take_said(said),
            Some(done) = daemon.fetches.join_next() => daemon.end_fetch(done),
            answered = daemon.choice.answered() => daemon.end_probe(answered),
            () = interfaces.next() => daemon.look(),
            () = until(timeout) => daemon.handle_timeout(),
        }
        daemon.act();
    }
}

async fn until(timeout: Option<Instant>) {
    match timeout {
        Some(timeout) => sleep_until(timeout.into()).await,
        None => std::future::pending().await,
    }
}

fn settings(args: &WatchArgs) -> Settings {
    let fetching = match (args.fetch, args.only.is_empty()) {
        (Whose::None, _) => Fetching::Nobody,
        (Whose::All, true) => Fetching::Everybody,
        (Whose::All, false) => Fetching::Named(args.only.iter().cloned().collect()),
    };
    Settings {
        fetching,
        ..Settings::default()
    }
}

/// An interface, as it was when it was last looked at.
struct Interface {
    watched: Watched,
    link: Option<Link>,
    addresses: Vec<OwnAddress>,
    attachment: Option<Attachment>,
    listener: Option<Listener>,
    /// It was said that it is not there, or has no link.
    is_missed: bool,
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
    choice: Choice,
    interfaces: BTreeMap<InterfaceName, Interface>,
    environment: Rc<Environment>,
    heard: mpsc::Sender<Heard>,
    inquiries: Inquiries,
    fetches: JoinSet<(OrderNumber, Fetched)>,
    under_way: BTreeMap<OrderNumber, AbortHandle>,
    publish: watch::Sender<Arc<Known>>,
    /// When programs are to be told.
    publish_at: Option<Instant>,
    complained: (Option<Instant>, BTreeSet<String>),
    objects: Objects,
    tunnels: HostTunnels,
}

impl Daemon {
    fn new(
        host: Host,
        choice: Choice,
        args: &WatchArgs,
        environment: Environment,
        heard: mpsc::Sender<Heard>,
        inquiries: Inquiries,
        publish: watch::Sender<Arc<Known>>,
    ) -> Self {
        let environment = Rc::new(environment);
        let interfaces = args.interfaces.iter().map(|watched| {
            let interface = Interface {
                watched: watched.clone(),
                link: None,
                addresses: Vec::new(),
                attachment: None,
                listener: None,
                is_missed: false,
            };
            (watched.name.clone(), interface)
        });
        Self {
            host,
            choice,
            interfaces: interfaces.collect(),
            objects: Objects::new(&environment),
            environment,
            heard,
            inquiries,
            fetches: JoinSet::new(),
            under_way: BTreeMap::new(),
            publish,
            publish_at: None,
            complained: (None, BTreeSet::new()),
            tunnels: HostTunnels::load(&args.control),
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
            match link {
                // Also if it is the same with other evidence, as of a bridge that a WLAN has joined.
                Some(found) if interface.link != link => {
                    let link = found;
                    tracing::info!(interface = %name, link = %link.evidence, "attached");
                    interface.addresses = Vec::new();
                    interface.listen(&self.heard, link.index);
                    self.inquiries.forget(name);
                    self.host.handle_attached(name, link.evidence, now);
                }
                None if interface.link.is_some() => {
                    tracing::info!(interface = %name, "detached");
                    self.host.handle_detached(name, now);
                }
                None if !interface.is_missed => {
                    let why = link::why_missing(name);
                    tracing::warn!(interface = %name, "{why}; it is watched as soon as that changes");
                }
                _ => {}
            }
            interface.is_missed = link.is_none();
            interface.link = link;
            let found = Attachment::of(name).ok().flatten();
            let addresses = found.as_ref().map(|found| found.addresses.clone());
            let addresses = addresses.unwrap_or_default();
            interface.attachment = found.filter(|_| link.is_some());
            if addresses != interface.addresses {
                interface.addresses.clone_from(&addresses);
                self.host.handle_addresses(name, addresses, now);
            }
        }
        let interfaces = &self.interfaces;
        let is_watched = |name: &InterfaceName| interfaces.contains_key(name);
        self.tunnels.look(&mut self.host, is_watched, now);
        self.inquire();
    }

    /// Asks DHCP servers where there is reason to.
    fn inquire(&mut self) {
        for (name, interface) in &self.interfaces {
            let attachment = interface.attachment.as_ref();
            let is_sent = self.host.is_sent_to_dhcpv6(name);
            if self.inquiries.settle(name, attachment, is_sent) {
                let leased = self.inquiries.leased(name);
                self.host.handle_leases(name, leased, clock::host_now());
            }
        }
    }

    fn take_said(&mut self, said: Said) {
        if let Some(name) = self.inquiries.take(said) {
            let leased = self.inquiries.leased(&name);
            self.host.handle_leases(&name, leased, clock::host_now());
        }
    }

    /// Takes what somebody tells of a tunnel.
    fn change(&mut self, change: Change) {
        let taken = self.tunnels.change(change.is_up, change.tunnel);
        self.look();
        // Who does not wait any more need not know.
        let _told = change.answer.send(taken);
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

    fn end_fetch(&mut self, done: Result<(OrderNumber, Fetched), JoinError>) {
        let done = done.or_else(|error| {
            // One that was abandoned is not under way any more.
            let mut tasks = self.under_way.iter();
            let task = tasks.find(|(_, task)| task.id() == error.id());
            let failure = Failure::new(FailureKind::Unreachable, &"the fetch has failed");
            task.map(|(order, _)| (*order, Fetched::Failed(failure)))
                .ok_or(error)
        });
        if let Ok((order, fetched)) = done {
            self.under_way.remove(&order);
            match &fetched {
                Fetched::Object { data, .. } => {
                    tracing::info!(?order, proved_by = %data, "fetched");
                }
                Fetched::Failed(failure) => {
                    tracing::info!(?order, %failure, "not fetched");
                }
            }
            self.host.handle_fetched(order, fetched, clock::host_now());
        }
    }

    /// Asks nobody any more, and then lets go the routes that kept questions inside their PvDs.
    async fn stop(mut self) {
        drop(self.objects);
        self.fetches.shutdown().await;
        self.choice.stop().await;
    }

    fn end_probe(&mut self, answered: (ProbeNumber, Answer)) {
        let now = clock::host_now().instant;
        if self.choice.handle_answer(answered, now) {
            self.publish_at = Some(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.objects.poll_timeout(clock::host_now().instant);
        let choice = self.choice.poll_timeout();
        let times = [self.host.poll_timeout(), choice, self.publish_at, waiting];
        times.into_iter().flatten().min()
    }

    fn handle_timeout(&mut self) {
        let now = clock::host_now();
        if self.host.poll_timeout().is_some_and(|at| at <= now.instant) {
            self.host.handle_timeout(now);
        }
        let choice = self.choice.poll_timeout();
        if choice.is_some_and(|at| at <= now.instant) && self.choice.handle_timeout(now.instant) {
            self.publish_at = Some(now.instant);
        }
        if self.publish_at.is_some_and(|at| at <= now.instant) {
            self.publish_at = None;
            self.inquire();
            self.complain(now.instant);
            let views = self.host.domains(now);
            self.choice.handle_domains(&views, now.instant);
            let places = (&views[..], self.choice.ranking());
            let known = Known::of(&self.host, places, &self.publish.borrow(), now);
            self.publish.send_replace(Arc::new(known));
        }
        // By now a PvD may be there that an object waits for.
        self.objects.ask(&self.host);
    }

    fn publish_within(&mut self, time: Duration) {
        let at = clock::host_now().instant + time;
        self.publish_at = Some(self.publish_at.map_or(at, |before| before.min(at)));
    }

    /// Logs what routers and the peers of tunnels should not say, when it is new, and not as often as somebody would like who forges it.
    fn complain(&mut self, now: Instant) {
        let (last, told) = &mut self.complained;
        let faults = self.host.misconfigurations();
        let faults = faults.map(|(on, fault)| format!("{on}: {fault}"));
        let tunnels = self.host.tunnels().filter(|(.., it)| it.is_at_odds());
        let tunnels =
            tunnels.map(|(on, pvd, standing)| format!("{on}: the tunnel of {pvd} is {standing}"));
        let faults: BTreeSet<_> = faults.chain(tunnels).collect();
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
                Action::Fetch(order) => {
                    tracing::info!(order = ?order.number, pvd = %order.pvd, interface = %order.interface, "fetches additional information");
                    let environment = Rc::clone(&self.environment);
                    let number = order.number;
                    let task = self.fetches.spawn_local(async move {
                        (number, fetching::carry_out(order, &environment).await)
                    });
                    self.under_way.insert(number, task);
                }
                Action::Abandon(order) => {
                    if let Some(task) = self.under_way.remove(&order) {
                        task.abort();
                    }
                }
                Action::Solicit(name) => {
                    let interface = self.interfaces.get(&name);
                    if let Some(listener) = interface.and_then(|it| it.listener.as_ref()) {
                        // One that waits is as good as two.
                        let _waits = listener.solicit.try_send(());
                    }
                }
                Action::Keep {
                    pvd,
                    signed,
                    provenance,
                } => {
                    self.objects.keep(&pvd, provenance, &signed);
                }
                Action::Changed => self.publish_within(FLOCK),
                Action::Renewed => self.publish_within(RENEWALS),
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
