//! Routes by source address: what has an address of a PvD leaves by that PvD's interface and router, or not at all. A provider
//! drops what comes from another one's addresses, and could not stop an attack on them (RFC 8028 §3, RFC 9284 §5.1).
//!
//! ```text
//! PvDs of the agent --+
//! default routes -----+--> Plan --difference--> rules and routes of the kernel, marked as moat's
//! links --------------+                          (removed at the end, and what a crash left at the next start)
//! ```

mod kernel;
mod lock;
mod message;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use nix::net::if_::if_nametoindex;
use pvd::{ProvisioningDomain, PvdId, PvdSet};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::kernel::{Kernel, Outcome};
use self::lock::{Holder, Lock};
use self::plan::{Family, Plan, Uplink};
use crate::config::{self, ClientConfig};

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

/// Keeps the routes of the kernel in step with the PvDs.
#[derive(Debug)]
pub(crate) struct Routing {
    pvds: watch::Sender<PvdSet>,
    task: JoinHandle<()>,
}

impl Routing {
    /// Begins, if the configuration wants it. It works in a [`LocalSet`](tokio::task::LocalSet).
    pub(crate) fn start(config: &ClientConfig, pvds: PvdSet) -> Option<Self> {
        let terms = config.routing?;
        let tables = (terms.first_table..).zip(&config.pvds);
        let tables = tables.map(|(table, pvd)| (pvd.id.clone(), (table, pvd.routers.clone())));
        let site = Site {
            terms,
            tables: tables.collect(),
        };
        let (pvds, changes) = watch::channel(pvds);
        let task = tokio::task::spawn_local(keep(site, changes));
        Some(Self { pvds, task })
    }

    /// The PvDs are these from now on.
    pub(crate) fn set(&self, pvds: PvdSet) {
        self.pvds.send_replace(pvds);
    }

    /// Removes all that was made.
    pub(crate) async fn stop(self) {
        drop(self.pvds);
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            tracing::warn!("the routes by source address could not be removed in time");
        }
    }
}

/// What the administrator wrote.
struct Site {
    terms: config::Routing,
    /// The table and the routers of each PvD.
    tables: BTreeMap<PvdId, (u32, Vec<IpAddr>)>,
}

impl Site {
    fn uplinks(&self, pvds: &PvdSet) -> Vec<Uplink> {
        let uplink = |domain: &ProvisioningDomain| {
            let (table, routers) = self.tables.get(&domain.id)?;
            let interface = domain.interface.as_ref()?;
            let own = domain.addresses.iter().map(|own| own.address.into());
            let sources: Vec<IpNet> = own.chain(domain.prefixes.iter().copied()).collect();
            Some(Uplink {
                table: *table,
                sources,
                interface: if_nametoindex(interface.as_str()).ok(),
                routers: routers.clone(),
            })
        };
        let mut uplinks: Vec<_> = pvds.iter().filter_map(uplink).collect();
        uplinks.sort_by_key(|uplink| uplink.table);
        uplinks
    }

    /// Says which PvDs have no way out now, and which have one again, for each version of IP in which they have addresses
    /// of their own.
    fn tell(&self, plan: &Plan, outcome: &Outcome, told: &mut BTreeSet<(Family, u32)>) {
        let led: BTreeSet<(Family, u32)> = plan.led().collect();
        let all: BTreeSet<(Family, u32)> = plan.all_tables().collect();
        told.retain(|table| all.contains(table));
        for table in all {
            let (family, number) = table;
            let mut pvds = self.tables.iter();
            let Some((pvd, _)) = pvds.find(|(_, (it, _))| *it == number) else {
                continue;
            };
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
async fn keep(site: Site, mut pvds: watch::Receiver<PvdSet>) {
    while let Err(error) = follow(&site, &mut pvds).await {
        if pvds.has_changed().is_err() {
            tracing::error!(%error, "the routes by source address could not be removed");
            return;
        }
        tracing::error!(%error, "routes do not follow the source address; it is tried again every 30 s");
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = pvds.changed() => {}
        }
    }
}

async fn follow(site: &Site, pvds: &mut watch::Receiver<PvdSet>) -> Result<(), Error> {
    let _lock = lock()?;
    let mut kernel = Kernel::connect()?;
    let mut led = BTreeSet::new();
    let mut told = BTreeSet::new();
    loop {
        let is_over = pvds.has_changed().is_err();
        let round = async {
            let found = kernel.look().await?;
            let uplinks = site.uplinks(&pvds.borrow_and_update());
            // What a killed one has led goes on.
            led.extend(found.led(&uplinks));
            let plan = match is_over {
                true => Plan::default(),
                false => Plan::new(site.terms, &uplinks, &found.defaults, &led),
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
        site.tell(&plan, &outcome, &mut told);
        tokio::select! {
            // Also when there is nobody any more to tell.
            _ = pvds.changed() => {}
            change = kernel.changed() => change.ok_or(Error::Broken)?,
            () = tokio::time::sleep(RETRY), if !outcome.refused.is_empty() => {}
        }
    }
}
