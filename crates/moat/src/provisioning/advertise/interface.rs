//! One interface: carries out what its router decides, whatever becomes of the interface.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use pvd::bindings::router_advertisement::Announced;
use pvd::router::{Action, Conflict, Finding, Router};
use pvd::{InterfaceName, PvdId};
use rtnetlink::{Handle, MulticastGroup, new_connection};
use tokio::sync::watch;

use super::ground::{Ground, let_answer};
use crate::config::AdvertisingInterface;
use crate::netlink::Changes;
use crate::provisioning::icmpv6::{ALL_NODES, Icmpv6Socket, Kind, Message, Side};

/// How long to wait when an interface is not there or not as it should be; longer than what must be between two advertisements.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How long to wait for duplicate address detection to go on.
const NOT_READY: Duration = Duration::from_millis(200);
/// How often that is waited for before it is told.
const LOOKS: u32 = 25;

/// What all interfaces are to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// The numbers of the additional information that can be had.
    pub(super) numbers: BTreeMap<PvdId, u16>,
    /// Hosts are to be told that it is over.
    pub(super) is_ending: bool,
}

/// Why an interface does not advertise now.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error("{0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error("it has changed")]
    Changed,
    /// Its addresses cannot be used yet.
    #[error("it has no address to advertise from yet")]
    NotReady,
}

/// An interface that advertises.
struct Advertising {
    name: InterfaceName,
    interface: AdvertisingInterface,
    said: watch::Receiver<Said>,
    kernel: Handle,
    /// What the kernel answers for.
    answered: BTreeSet<Ipv6Addr>,
    /// It answered for nothing before.
    has_changed_kernel: bool,
    /// It was told what may do harm.
    is_warned: bool,
}

/// Advertises until it is said to end.
pub(super) async fn advertise(
    name: InterfaceName,
    interface: AdvertisingInterface,
    said: watch::Receiver<Said>,
) {
    let (connection, kernel, _) = match new_connection() {
        Ok(connection) => connection,
        Err(error) => return tracing::error!(interface = %name, "does not advertise: {error}"),
    };
    let reader = tokio::spawn(connection);
    let mut advertising = Advertising {
        name,
        interface,
        said,
        kernel,
        answered: BTreeSet::new(),
        has_changed_kernel: false,
        is_warned: false,
    };
    advertising.go_on().await;
    advertising.clear().await;
    reader.abort();
}

impl Advertising {
    async fn go_on(&mut self) {
        let (mut told, mut looks) = (String::new(), 0);
        while !self.said.borrow().is_ending {
            let Err(obstacle) = self.attempt().await else {
                return;
            };
            let is_patient = matches!(obstacle, Obstacle::NotReady) && looks < LOOKS;
            looks = if is_patient { looks + 1 } else { 0 };
            let (wait, text) = match is_patient {
                true => (NOT_READY, told.clone()),
                false => (AFTER_FAILURE, obstacle.to_string()),
            };
            if text != told {
                tracing::warn!(interface = %self.name, "does not advertise now: {text}");
                told = text;
            }
            let ended = self.said.wait_for(|said| said.is_ending);
            drop(tokio::time::timeout(wait, ended).await);
        }
    }

    /// Advertises for as long as the interface is as it is.
    async fn attempt(&mut self) -> Result<(), Obstacle> {
        let changes = Changes::of(&[MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr]);
        let mut changes = changes?;
        let ground = self.ground().await?;
        let (link, domains) = ground.advertised(&self.interface);
        let count = domains.len();
        let random = fastrand::Rng::new();
        let mut router = Router::new(link, domains, random, Instant::now())?;
        let mut socket = Icmpv6Socket::open(&self.name, Side::Router)?;
        let said = self.said.borrow_and_update().clone();
        self.tell(&mut router, &said);
        tracing::info!(interface = %self.name, domains = count, "advertises");
        loop {
            self.carry_out(&mut router, &socket)?;
            let Some(next) = router.next_timeout() else {
                tracing::debug!(dropped = ?socket.dropped(), "advertises no more");
                return Ok(());
            };
            tokio::select! {
                message = socket.receive() => take(&mut router, &message?),
                () = tokio::time::sleep_until(next.into()) => router.on_timeout(Instant::now()),
                Some(()) = changes.next() => {
                    if Ground::look(&self.name, &self.interface)? != ground {
                        return Err(Obstacle::Changed);
                    }
                }
                _ = self.said.changed() => {
                    let said = self.said.borrow_and_update().clone();
                    self.tell(&mut router, &said);
                }
            }
        }
    }

    /// The interface with all the addresses that are needed.
    async fn ground(&mut self) -> Result<Ground, Obstacle> {
        let ground = Ground::look(&self.name, &self.interface)?;
        if !std::mem::replace(&mut self.is_warned, true) {
            self.warn(&ground);
        }
        let foreign = ground.foreign(&self.interface);
        if !foreign.is_empty() {
            self.has_changed_kernel |= !let_answer(&self.name, true)?;
        }
        for address in foreign {
            ground.answer_for(address, &self.kernel).await?;
            self.answered.insert(address);
        }
        match ground.is_ready(&self.interface) {
            true => Ok(ground),
            false => Err(Obstacle::NotReady),
        }
    }

    fn warn(&self, ground: &Ground) {
        let interface = &self.name;
        let domains = self.interface.domains.iter();
        for domain in domains.filter(|domain| ground.may_harm(domain)) {
            let source = domain.source.unwrap_or(Ipv6Addr::UNSPECIFIED);
            tracing::warn!(
                %interface, %source,
                "says to hosts without PvDs that this address is no default router: where another program advertises from it, \
                 they lose that route until moat has heard it; leave source out for an address of moat's own"
            );
        }
        let forwarding = format!("/proc/sys/net/ipv6/conf/{interface}/forwarding");
        let forwards = std::fs::read_to_string(forwarding).is_ok_and(|text| text.trim() != "0");
        let mut domains = self.interface.domains.iter();
        if !forwards && domains.any(|domain| domain.advertisement.header().router_lifetime > 0) {
            tracing::warn!(%interface, "hosts are told of a router, and this machine forwards nothing: sysctl net.ipv6.conf.all.forwarding=1");
        }
    }

    fn tell(&self, router: &mut Router, said: &Said) {
        let now = Instant::now();
        for domain in &self.interface.domains {
            let pvd = domain.advertisement.pvd.as_ref();
            if let (Some(pvd), Some(object)) = (pvd, &domain.object) {
                let number = said.numbers.get(&pvd.id);
                let announced = number.map(|number| Announced {
                    delay: object.delay,
                    sequence_number: *number,
                });
                router.announce(&pvd.id, announced, now);
            }
        }
        if said.is_ending {
            router.stop(now);
        }
    }

    fn carry_out(&self, router: &mut Router, socket: &Icmpv6Socket) -> io::Result<()> {
        let interface = &self.name;
        while let Some(action) = router.poll_action() {
            match action {
                Action::Send { source, message } => {
                    socket.send(&message, Some(source), ALL_NODES)?;
                }
                Action::Report(Finding::Differs { router, what }) => {
                    tracing::warn!(%interface, %router, "another router says otherwise: {what}");
                }
                Action::Report(Finding::Shared(source)) => {
                    tracing::info!(%interface, %source, "another program advertises from this address, too");
                }
                Action::Report(Finding::Forged(source)) => {
                    tracing::warn!(%interface, %source, "somebody forges advertisements from the address that is moat's own");
                }
            }
        }
        Ok(())
    }

    /// Leaves the kernel as it was.
    async fn clear(&self) {
        if let Ok(ground) = Ground::look(&self.name, &self.interface) {
            for address in &self.answered {
                ground.leave(*address, &self.kernel).await;
            }
        }
        if self.has_changed_kernel {
            // Without the interface there is nothing to leave as it was.
            drop(let_answer(&self.name, false));
        }
    }
}

fn take(router: &mut Router, message: &Message) {
    let Message {
        source, ref octets, ..
    } = *message;
    let now = Instant::now();
    match message.kind {
        Kind::RouterSolicitation => router.handle_solicitation(octets, source, now),
        Kind::RouterAdvertisement => router.handle_advertisement(octets, source, now),
    }
}
