//! Routes by source address: what has an address of a PvD leaves by that PvD's interface and router, or not at all. A provider
//! drops what comes from another one's addresses, and could not stop an attack on them (RFC 8028 §3, RFC 9284 §5.1).
//!
//! ```text
//! PvDs of the agent --+
//! default routes -----+--> Plan --difference--> rules and routes of the kernel, marked as moat's
//! links --------------+                          (removed at the end, and what a crash left at the next start)
//! ```

mod configured;
mod kernel;
mod lock;
mod message;
mod next_hop;
mod plan;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use nix::net::if_::if_nametoindex;
use pvd::InterfaceName;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) use self::configured::Configured;
use self::kernel::{Kernel, Outcome};
use self::lock::{Holder, Lock};
pub(crate) use self::next_hop::{NextHop, next_hop};
pub(crate) use self::plan::Routers;
use self::plan::{Family, Plan, Uplink};
use crate::config;

/// How long the kernel is left in peace that refused.
const RETRY: Duration = Duration::from_secs(30);
/// How long the kernel may take for everything together.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the end of the daemon waits for what is removed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why routes do not follow.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("there is no connection to the kernel: {0}")]
    Connection(#[from] io::Error),
    #[error("{}", said(.0))]
    Kernel(#[from] rtnetlink::Error),
    #[error("the kernel does not answer")]
    Broken,
    #[error("another moat keeps the routes of this machine; leave [routing] to one of them")]
    Another,
}

fn said(error: &rtnetlink::Error) -> String {
    let code = kernel::code(error);
    let text = code.map(|code| io::Error::from_raw_os_error(code).to_string());
    let text = text.unwrap_or_else(|| error.to_string());
    match code {
        Some(libc::EPERM) => format!("{text}; it needs root or CAP_NET_ADMIN"),
        _ => text,
    }
}

/// A PvD as far as its routes matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network {
    /// By what people know it.
    pub(crate) name: String,
    /// The routing table that is its own.
    pub(crate) table: u32,
    /// Its interface.
    pub(crate) interface: InterfaceName,
    /// The addresses and prefixes that it assigned.
    pub(crate) sources: Vec<IpNet>,
    /// Its routers.
    pub(crate) routers: Routers,
    /// The address of what is begun there without one, where the kernel might take another network's.
    pub(crate) source: Option<IpAddr>,
    /// What has no address yet is for it.
    pub(crate) is_preferred: bool,
}

impl Network {
    fn uplink(&self) -> Uplink {
        Uplink {
            table: self.table,
            sources: self.sources.clone(),
            interface: if_nametoindex(self.interface.as_str()).ok(),
            routers: self.routers.clone(),
            source: self.source,
            is_preferred: self.is_preferred,
        }
    }
}

/// Keeps the routes of the kernel in step with the PvDs.
#[derive(Debug)]
pub(crate) struct Routing {
    networks: watch::Sender<Vec<Network>>,
    task: JoinHandle<()>,
}

impl Routing {
    /// Begins. It works in a [`LocalSet`](tokio::task::LocalSet).
    pub(crate) fn start(terms: config::Routing, networks: Vec<Network>) -> Self {
        let (networks, changes) = watch::channel(networks);
        let task = tokio::task::spawn_local(keep(terms, changes));
        Self { networks, task }
    }

    /// The PvDs are these from now on.
    pub(crate) fn set(&self, networks: Vec<Network>) {
        self.networks.send_if_modified(|now| {
            let is_other = *now != networks;
            *now = networks;
            is_other
        });
    }

    /// Removes all that was made.
    pub(crate) async fn stop(self) {
        drop(self.networks);
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            tracing::warn!("the routes by source address could not be removed in time");
        }
    }
}

/// Says which PvDs have no way out now, and which have one again, for each version of IP in which they have addresses
/// of their own.
fn tell(networks: &[Network], plan: &Plan, outcome: &Outcome, told: &mut BTreeSet<(Family, u32)>) {
    let led: BTreeSet<(Family, u32)> = plan.led().collect();
    let all: BTreeSet<(Family, u32)> = plan.all_tables().collect();
    told.retain(|table| all.contains(table));
    for table in all {
        let (family, number) = table;
        let Some(pvd) = networks.iter().find(|it| it.table == number) else {
            continue;
        };
        let pvd = &pvd.name;
        let reason = match outcome.refusal(table) {
            Some(error) => said(error),
            None if led.contains(&table) => {
                if told.remove(&table) {
                    tracing::info!(%pvd, %family, "its addresses have a way out again");
                }
                continue;
            }
            None => "no default route over its interface".to_owned(),
        };
        if told.insert(table) {
            tracing::warn!(%pvd, %family, reason, "its addresses have no way out of their own");
        }
    }
}

/// Keeps another moat from the same; somebody else who only holds its name keeps nobody from anything.
fn lock() -> Result<Option<Lock>, Error> {
    match lock::take()? {
        Holder::This(lock) => Ok(Some(lock)),
        Holder::Another => Err(Error::Another),
        Holder::Stranger(user) => {
            tracing::warn!(
                user,
                "a program of another user holds the name by which moats on one machine know of each other; routes are \
                 kept nevertheless, and nothing keeps a second moat from the same"
            );
            Ok(None)
        }
    }
}

/// Follows the PvDs until nobody tells of them any more.
async fn keep(terms: config::Routing, mut networks: watch::Receiver<Vec<Network>>) {
    while let Err(error) = follow(terms, &mut networks).await {
        if networks.has_changed().is_err() {
            tracing::error!(%error, "the routes by source address could not be removed");
            return;
        }
        tracing::error!(%error, "routes do not follow the source address; it is tried again every 30 s");
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = networks.changed() => {}
        }
    }
}

async fn follow(
    terms: config::Routing,
    networks: &mut watch::Receiver<Vec<Network>>,
) -> Result<(), Error> {
    let _lock = lock()?;
    let mut kernel = Kernel::connect()?;
    let mut led = BTreeSet::new();
    let mut told = BTreeSet::new();
    loop {
        let is_over = networks.has_changed().is_err();
        let now = networks.borrow_and_update().clone();
        let round = async {
            let found = kernel.look().await?;
            let mut uplinks: Vec<_> = now.iter().map(Network::uplink).collect();
            uplinks.sort_by_key(|uplink| uplink.table);
            // A table may be another PvD's next time.
            led.retain(|(_, table)| uplinks.iter().any(|it| it.table == *table));
            // What a killed one has led goes on.
            led.extend(found.led(&uplinks));
            let plan = match is_over {
                true => Plan::default(),
                false => Plan::new(terms, &uplinks, &found.defaults, &led),
            };
            let outcome = kernel.bring_to(&plan, &led, found).await?;
            Ok::<_, Error>((plan, outcome))
        };
        let round = tokio::time::timeout(ANSWER_WITHIN, round).await;
        let (plan, outcome) = round.map_err(|_| Error::Broken)??;
        if is_over {
            return Ok(());
        }
        led.extend(plan.led().filter(|it| outcome.refusal(*it).is_none()));
        if outcome.is_changed {
            let (rules, routes) = (plan.rules.len(), plan.routes.len());
            tracing::info!(rules, routes, "routes follow the source address");
        }
        tell(&now, &plan, &outcome, &mut told);
        tokio::select! {
            // Also when there is nobody any more to tell.
            _ = networks.changed() => {}
            change = kernel.changed() => change.ok_or(Error::Broken)?,
            () = tokio::time::sleep(RETRY), if !outcome.refused.is_empty() => {}
        }
    }
}
