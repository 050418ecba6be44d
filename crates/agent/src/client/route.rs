//! The ways to one server, and the sessions over them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use dtls::Transport;
use pvd::{Endpoint, InterfaceName, OwnAddress, ProvisioningDomain, source_address};

use super::PathId;
use super::backlog::Backlog;
use super::race::{Candidate, Race};
use crate::session::SignalSession;
use crate::time::Now;
use crate::transport;

/// Addresses of one server that are tried, over each transport.
const ADDRESSES: usize = 16;

/// Whose sessions: those with the server that the PvD names, or with the one that it redirected
/// to (RFC 9132 §4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Destination {
    Provisioned,
    Alternate,
}

impl Destination {
    pub(super) const ALL: [Self; 2] = [Self::Provisioned, Self::Alternate];
}

/// How servers are reached from within a PvD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) interface: Option<InterfaceName>,
    sources: Vec<OwnAddress>,
    transports: BTreeSet<pvd::Transport>,
}

impl Ways {
    pub(super) fn new(domain: &ProvisioningDomain, server: &pvd::DotsServer) -> Self {
        Self {
            interface: domain.interface.clone(),
            sources: domain.addresses.clone(),
            transports: server.transports(),
        }
    }

    /// Whether the PvD has that address, or leaves the choice to the system.
    pub(super) fn may_leave_from(&self, source: Option<IpAddr>) -> bool {
        match source {
            Some(source) => self.sources.iter().any(|own| own.address == source),
            None => self.sources.is_empty(),
        }
    }

    /// All ways to the addresses, over each transport that the provisioned server has.
    pub(super) fn candidates(&self, addresses: &[SocketAddr]) -> Vec<Candidate> {
        let transports = self.transports.iter().copied();
        let endpoints: Vec<_> = transports
            .flat_map(|transport| {
                let addresses = addresses.iter().copied();
                addresses.map(move |address| Endpoint { transport, address })
            })
            .collect();
        self.candidates_at(&endpoints)
    }

    /// All ways to the places. Without an address of a family in the PvD, its ingress filter
    /// drops all that we send to an address of that family.
    pub(super) fn candidates_at(&self, endpoints: &[Endpoint]) -> Vec<Candidate> {
        let candidate = |endpoint: &Endpoint| {
            let source = source_address::select(&self.sources, endpoint.address.ip());
            (source.is_some() || self.sources.is_empty()).then_some(Candidate {
                transport: transport::secured(endpoint.transport),
                address: endpoint.address,
                source,
            })
        };
        let over = |transport: &pvd::Transport| {
            let transport = *transport;
            let same = move |endpoint: &&Endpoint| endpoint.transport == transport;
            let usable = endpoints.iter().filter(same).filter_map(candidate);
            usable.take(ADDRESSES)
        };
        self.transports.iter().flat_map(over).collect()
    }
}

/// The way to one server.
#[derive(Debug)]
pub(super) struct Route<R> {
    /// The name that its certificate must carry.
    pub(super) name: String,
    pub(super) race: Race,
    /// What resumes the last session over each transport, so that the next begins sooner
    /// (RFC 9132 §4.7).
    pub(super) resumptions: BTreeMap<Transport, R>,
}

impl<R> Route<R> {
    pub(super) fn new(now: Instant, name: String, candidates: Vec<Candidate>) -> Self {
        Self {
            name,
            race: Race::new(now, candidates),
            resumptions: BTreeMap::new(),
        }
    }
}

/// One signal channel session and the requests that are under way on it.
#[derive(Debug)]
pub(super) struct Live<S> {
    pub(super) path: PathId,
    pub(super) destination: Destination,
    /// Its place in the race.
    pub(super) entry: usize,
    pub(super) candidate: Candidate,
    pub(super) session: SignalSession<S>,
    pub(super) established: Option<Instant>,
    /// Whether a request was answered over it.
    pub(super) has_answered: bool,
    /// What happened to its socket. One ICMP error can be forged and may pass.
    pub(super) trouble: Option<String>,
    /// Whether nothing came in answer to its handshake, as far as that tells.
    pub(super) has_timed_out: bool,
    /// It was closed here because another serves.
    pub(super) is_retired: bool,
    /// What is asked over it.
    pub(super) backlog: Backlog,
}

impl<S: dtls::Session> Live<S> {
    /// Whether requests can be sent over it.
    pub(super) fn is_up(&self) -> bool {
        self.established.is_some() && !self.is_retired
    }

    pub(super) fn retire(&mut self, now: Now) {
        if !self.is_retired {
            self.is_retired = true;
            self.session.close(now.monotonic);
        }
    }

    /// What people should know of it: another session would be no better where the server refuses.
    pub(super) fn complaint(&self) -> Option<String> {
        let refused = "the server answers that this client may not ask it (4.01)";
        let is_refused = self.session.is_unauthorized();
        self.trouble()
            .or_else(|| is_refused.then(|| refused.to_owned()))
    }

    /// What is wrong with it.
    pub(super) fn trouble(&self) -> Option<String> {
        let silent = self.session.is_peer_silent();
        let silent = silent.then(|| "it answers no heartbeat any more".to_owned());
        self.trouble.clone().or(silent)
    }
}
