//! A network with two uplinks: its client, and what that remembers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use agent::client::{
    Action, AssociationRecord, Change, Client, PathId, Refusal, RequestId, RequestRecord, Snapshot,
    WantedRecord,
};
use agent::server_selection::{AssociationId, Policy};
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::target::Target;
use pvd::PvdSet;

use crate::clocks::Clocks;
use crate::fuse::Fuse;
use crate::identity::PlaintextConnector;
use crate::manners::Manners;
use crate::network::{Datagram, Network};
use crate::site::Site;

/// How many requests a client may have at once.
pub(crate) const REQUESTS: usize = 16;
/// More sockets than this nobody needs for four servers.
const PATHS: usize = 16;
const FIRST_PORT: u16 = 20_000;

/// What survives a crash of a client.
#[derive(Debug, Default)]
pub struct ClientStore {
    /// What it knows of its servers.
    pub associations: BTreeMap<AssociationId, AssociationRecord>,
    /// What it wants.
    pub wanted: BTreeMap<RequestId, WantedRecord>,
    /// What it asked for and has not seen the end of.
    pub requests: BTreeMap<(RequestId, AssociationId, Mid), RequestRecord>,
}

/// One home.
#[derive(Debug)]
pub struct Home {
    /// What its certificate says.
    pub name: String,
    /// Its client.
    pub client: Client<PlaintextConnector>,
    /// What the client remembers.
    pub store: ClientStore,
    /// What its clocks show.
    pub clocks: Clocks,
    /// What it is attached to.
    pub site: Site,
    /// How often that changed.
    pub(crate) changes: u32,
    /// Its end, and the other one.
    paths: BTreeMap<PathId, (SocketAddr, SocketAddr)>,
    by_local: BTreeMap<SocketAddr, PathId>,
    next_port: u16,
    pub(crate) manners: Manners,
    pub(crate) fuse: Fuse,
    /// How often the process died.
    pub(crate) crashes: u32,
    seed: u64,
}

impl Home {
    pub(crate) fn new(now: Instant, name: String, site: Site, seed: u64) -> Self {
        let clocks = Clocks::new(now);
        Self {
            client: client(
                clocks,
                now,
                &name,
                &site.pvds(),
                &ClientStore::default(),
                seed,
            ),
            name,
            store: ClientStore::default(),
            clocks,
            site,
            changes: 0,
            paths: BTreeMap::new(),
            by_local: BTreeMap::new(),
            next_port: FIRST_PORT,
            manners: Manners::default(),
            fuse: Fuse::default(),
            crashes: 0,
            seed,
        }
    }

    /// Its networks change.
    pub(crate) fn attach(&mut self, now: Instant, change: impl FnOnce(&mut Site)) {
        change(&mut self.site);
        self.changes += 1;
        self.manners.on_change();
        let now = self.clocks.show(now);
        self.client.set_pvds(now, self.site.pvds());
    }

    /// Has targets protected, for so many seconds.
    ///
    /// # Errors
    /// Those of the client.
    pub fn mitigate(
        &mut self,
        now: Instant,
        target: &Target,
        lifetime: Lifetime,
    ) -> Result<RequestId, Refusal> {
        self.client.mitigate(
            self.clocks.show(now),
            &target.clone().into(),
            lifetime,
            true,
        )
    }

    /// Ends that.
    ///
    /// # Errors
    /// Those of the client.
    pub fn withdraw(&mut self, now: Instant, id: RequestId) -> Result<(), Refusal> {
        self.client.withdraw(self.clocks.show(now), id)
    }

    /// The process dies and starts again with what it had stored.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.seed = self.seed.wrapping_add(1);
        self.crashes += 1;
        self.paths.clear();
        self.by_local.clear();
        self.fuse = Fuse::default();
        self.manners = Manners::default();
        self.client = client(
            self.clocks,
            now,
            &self.name,
            &self.site.pvds(),
            &self.store,
            self.seed,
        );
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &Datagram) {
        let path = self.by_local.get(&datagram.destination).copied();
        let remote = path.and_then(|path| self.paths.get(&path));
        if let Some(path) = path.filter(|_| remote.is_some_and(|(_, it)| *it == datagram.source)) {
            self.manners.on_receive(path, &datagram.payload);
            let now = self.clocks.show(now);
            self.client.handle_datagram(now, path, &datagram.payload);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            self.client.handle_timeout(self.clocks.show(now));
        }
    }

    /// Carries out what the client wants until it wants nothing more, or dies.
    pub(crate) fn settle(&mut self, now: Instant, network: &mut Network) -> Result<(), String> {
        while let Some(action) = self.client.poll_action() {
            if self.fuse.burns_down() {
                self.restart(now);
                continue;
            }
            self.carry_out(now, action, network)?;
        }
        if self.paths.len() > PATHS {
            return Err(format!("{} sockets are too many", self.paths.len()));
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        now: Instant,
        action: Action,
        network: &mut Network,
    ) -> Result<(), String> {
        match action {
            Action::OpenPath {
                path,
                source,
                remote,
                ..
            } => {
                self.manners.on_open(now, path, remote)?;
                let source = source.ok_or("a socket that is bound to no address")?;
                let local = SocketAddr::new(source, self.next_port);
                self.next_port = self.next_port.wrapping_add(1).max(FIRST_PORT);
                self.paths.insert(path, (local, remote));
                self.by_local.insert(local, path);
            }
            Action::Transmit(path, payload) => {
                let ends = self.paths.get(&path).copied();
                let (source, destination) = ends.ok_or("a path that is not open")?;
                let assigned = || self.site.assigned(source.ip());
                self.manners.on_transmit(now, path, &payload, assigned)?;
                let datagram = Datagram {
                    source,
                    destination,
                    payload,
                };
                network.send(now, &datagram);
            }
            Action::ClosePath(path) => {
                self.manners.on_close(path);
                let closed = self.paths.remove(&path);
                self.by_local.retain(|_, open| *open != path);
                closed.ok_or("a path closed twice")?;
            }
            Action::Persist(Change::PutAssociation(record)) => {
                let key = record.association.clone();
                self.store.associations.insert(key, record);
            }
            Action::Persist(Change::DeleteAssociation(id)) => {
                self.store.associations.remove(&id);
            }
            Action::Persist(Change::PutWanted(record)) => {
                self.store.wanted.insert(record.id, record);
            }
            Action::Persist(Change::DeleteWanted(id)) => {
                self.store.wanted.remove(&id);
            }
            Action::Persist(Change::PutRequest(record)) => {
                let key = (record.id, record.association.clone(), record.mid);
                self.store.requests.insert(key, record);
            }
            Action::Persist(Change::DeleteRequest(id, association, mid)) => {
                self.store.requests.remove(&(id, association, mid));
            }
            Action::Resolve { .. } | Action::Noted(_) => {}
        }
        Ok(())
    }
}

fn client(
    clocks: Clocks,
    now: Instant,
    name: &str,
    pvds: &PvdSet,
    store: &ClientStore,
    seed: u64,
) -> Client<PlaintextConnector> {
    let snapshot = Snapshot {
        associations: store.associations.values().cloned().collect(),
        wanted: store.wanted.values().cloned().collect(),
        requests: store.requests.values().cloned().collect(),
    };
    Client::new(
        clocks.show(now),
        PlaintextConnector::new(name),
        (pvds.clone(), Policy::default()),
        snapshot,
        REQUESTS,
        seed,
    )
}
