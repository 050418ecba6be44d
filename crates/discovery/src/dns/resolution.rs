//! The walk from a domain to the addresses and ports of its DOTS agents.
//!
//! ```text
//! S-NAPTR:  domain --NAPTR ""--> name --NAPTR "s"--> service --SRV--> host, port --A | AAAA--> candidate
//!                                     --NAPTR "a"-------------------> host, default port ----> candidate
//! DNS-SD:   domain --PTR--> instance ---------------------SRV------> host, port -------------> candidate
//! ```
//! It goes deep first, one question at a time, so candidates come in the order in which the domain wants them tried. A loop,
//! or a zone that branches without end, meets a limit; what was found until then counts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::naptr::{ApplicationProtocol, ApplicationService, Flag, Naptr};
use super::srv::{self, Srv};
use super::{Answer, Failure, Query, Record, RecordKind, dns_sd};
use crate::peer;
use pvd::{DomainName, HostName};

/// How many questions one walk asks.
pub const MOST_QUERIES: usize = 32;
/// How many candidates are kept; the first ones are those that the domain prefers.
pub const MOST_CANDIDATES: usize = 16;
/// How many times a NAPTR record may lead to another.
pub const DEEPEST_DELEGATION: usize = 5;
/// How many steps one walk takes; where answers are known already they cost no question.
pub const MOST_STEPS: usize = 1024;
/// How many records of an answer are looked at.
pub const MOST_RECORDS: usize = 32;

/// An agent that may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How it is spoken to.
    pub protocol: ApplicationProtocol,
    /// Where it is.
    pub address: IpAddr,
    /// And where it listens.
    pub port: u16,
    /// What its certificate must be for.
    pub reference: HostName,
}

/// How a walk ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With candidates.
    Found {
        /// At least one, in the order to try them.
        candidates: Vec<Candidate>,
        /// For how long all of the records hold.
        ttl: Duration,
        /// Whether some question stayed without an answer: there may be others.
        is_partial: bool,
    },
    /// Without.
    Nothing(Failure),
}

/// What the certificate of an agent behind an SRV record must be for.
#[derive(Clone, Debug)]
enum Reference {
    /// The name that the walk began with, and nothing that the DNS made of it (RFC 8973 §8.2).
    Start(HostName),
    /// The host, if it is in the domain that was browsed: the DNS leads nobody elsewhere.
    HostWithin(DomainName),
}

#[derive(Clone, Debug)]
enum Step {
    Delegation {
        name: DomainName,
        protocols: Vec<ApplicationProtocol>,
        reference: HostName,
        depth: usize,
    },
    Browse {
        domain: DomainName,
        protocol: ApplicationProtocol,
    },
    Service {
        name: DomainName,
        protocol: ApplicationProtocol,
        reference: Reference,
    },
    Host {
        name: DomainName,
        protocol: ApplicationProtocol,
        port: u16,
        reference: HostName,
        /// Low ones come first, whatever order they are found in.
        rank: u16,
    },
}

/// One walk, for one address family.
#[derive(Debug)]
pub struct Resolution {
    service: ApplicationService,
    addresses: RecordKind,
    rng: fastrand::Rng,
    /// The last one is next.
    steps: Vec<Step>,
    /// How many were taken.
    taken: usize,
    /// The step whose question is out.
    asked: Option<(Query, Step)>,
    known: BTreeMap<Query, Result<Vec<Record>, Failure>>,
    found: Vec<(u16, Candidate)>,
    ttl: Option<Duration>,
    failure: Option<Failure>,
}

impl Resolution {
    /// An S-NAPTR lookup (RFC 8973 §6). `addresses` are those of A or AAAA records.
    pub fn of_domain(
        domain: HostName,
        service: ApplicationService,
        protocols: &[ApplicationProtocol],
        addresses: RecordKind,
        seed: u64,
    ) -> Self {
        let step = Step::Delegation {
            name: domain.name().clone(),
            protocols: protocols.to_vec(),
            reference: domain,
            depth: 0,
        };
        Self::new(service, addresses, seed, vec![step])
    }

    /// Browses the instances of a domain (RFC 8973 §7).
    pub fn of_instances(
        domain: &DomainName,
        service: ApplicationService,
        protocols: &[ApplicationProtocol],
        addresses: RecordKind,
        seed: u64,
    ) -> Self {
        let browse = |protocol: &ApplicationProtocol| Step::Browse {
            domain: domain.clone(),
            protocol: *protocol,
        };
        let steps = protocols.iter().rev().map(browse).collect();
        Self::new(service, addresses, seed, steps)
    }

    /// Looks up the addresses of an agent whose name is known (RFC 8973 §5.1.3), at the default ports.
    pub fn of_host(
        host: &HostName,
        service: ApplicationService,
        protocols: &[ApplicationProtocol],
        addresses: RecordKind,
        seed: u64,
    ) -> Self {
        let step = |protocol: &ApplicationProtocol| {
            Some(Step::Host {
                name: host.name().clone(),
                protocol: *protocol,
                port: service.default_port(*protocol)?,
                reference: host.clone(),
                rank: 0,
            })
        };
        let steps = protocols.iter().rev().filter_map(step).collect();
        Self::new(service, addresses, seed, steps)
    }

    fn new(
        service: ApplicationService,
        addresses: RecordKind,
        seed: u64,
        steps: Vec<Step>,
    ) -> Self {
        Self {
            service,
            addresses,
            rng: fastrand::Rng::with_seed(seed),
            steps,
            taken: 0,
            asked: None,
            known: BTreeMap::new(),
            found: Vec::new(),
            ttl: None,
            failure: None,
        }
    }

    /// The next question; `None` while one is out, and at the end.
    pub fn poll_query(&mut self) -> Option<Query> {
        if self.asked.is_some() {
            return None;
        }
        while !self.is_full() {
            let step = self.steps.pop()?;
            self.taken += 1;
            let Some(query) = self.query(&step) else {
                continue;
            };
            match self.known.get(&query) {
                Some(Ok(records)) => {
                    let records = records.clone();
                    self.follow(&step, records);
                }
                Some(Err(_)) => {}
                None if self.known.len() >= MOST_QUERIES => {}
                None => {
                    self.asked = Some((query.clone(), step));
                    return Some(query);
                }
            }
        }
        None
    }

    fn is_full(&self) -> bool {
        self.found.len() >= MOST_CANDIDATES || self.taken >= MOST_STEPS
    }

    /// Takes the answer to the question that is out; one to another question is none.
    pub fn handle_answer(&mut self, query: &Query, answer: Result<Answer, Failure>) {
        let Some((query, step)) = self.asked.take_if(|(asked, _)| asked == query) else {
            return;
        };
        let records = match answer {
            Ok(Answer { mut records, ttl }) => {
                records.truncate(MOST_RECORDS);
                self.ttl = Some(self.ttl.map_or(ttl, |known| known.min(ttl)));
                self.follow(&step, records.clone());
                Ok(records)
            }
            Err(failure) => {
                self.failure = Some(Failure::worse(self.failure, failure));
                Err(failure)
            }
        };
        self.known.insert(query, records);
    }

    /// How it ended; `None` until [`Resolution::poll_query`] has nothing more to ask.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.asked.is_some() || !(self.steps.is_empty() || self.is_full()) {
            return None;
        }
        let mut found = self.found.clone();
        found.sort_by_key(|(rank, _)| *rank);
        let mut candidates: Vec<Candidate> = Vec::new();
        for (_, candidate) in found {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        candidates.truncate(MOST_CANDIDATES);
        Some(match (candidates.is_empty(), self.ttl) {
            (false, Some(ttl)) => Outcome::Found {
                candidates,
                ttl,
                is_partial: self.failure == Some(Failure::Unavailable),
            },
            (_, ttl) => Outcome::Nothing(self.failure.unwrap_or(Failure::NoRecords(ttl))),
        })
    }

    /// `None` where a name would become too long.
    fn query(&self, step: &Step) -> Option<Query> {
        let (name, kind) = match step {
            Step::Delegation { name, .. } => (name.clone(), RecordKind::Naptr),
            Step::Browse { domain, protocol } => {
                let name = dns_sd::service_name(self.service, *protocol, domain).ok()?;
                (name, RecordKind::Ptr)
            }
            Step::Service { name, .. } => (name.clone(), RecordKind::Srv),
            Step::Host { name, .. } => (name.clone(), self.addresses),
        };
        Some(Query { name, kind })
    }

    /// Makes the next steps of the records of one; records of other kinds are none of its business.
    fn follow(&mut self, step: &Step, records: Vec<Record>) {
        let mut next = match step {
            Step::Delegation {
                protocols,
                reference,
                depth,
                ..
            } => self.delegations(records, protocols, reference, *depth),
            Step::Browse { domain, protocol } => self.instances(records, domain, *protocol),
            Step::Service {
                protocol,
                reference,
                ..
            } => self.hosts(records, *protocol, reference),
            Step::Host {
                protocol,
                port,
                reference,
                rank,
                ..
            } => {
                let addresses = records.into_iter().filter_map(|record| match record {
                    Record::Address(address) => Some(address),
                    _ => None,
                });
                // The DNS is believed no more than DHCP.
                let addresses = peer::usable_records(addresses).into_iter();
                self.found.extend(addresses.map(|address| {
                    let candidate = Candidate {
                        protocol: *protocol,
                        address,
                        port: *port,
                        reference: reference.clone(),
                    };
                    (*rank, candidate)
                }));
                Vec::new()
            }
        };
        next.reverse();
        self.steps.extend(next);
    }

    fn delegations(
        &self,
        records: Vec<Record>,
        wanted: &[ApplicationProtocol],
        reference: &HostName,
        depth: usize,
    ) -> Vec<Step> {
        let mut records: Vec<Naptr> = records
            .into_iter()
            .filter_map(|record| match record {
                Record::Naptr(naptr) => Some(naptr),
                _ => None,
            })
            .collect();
        records.sort_by_key(|record| (record.order, record.preference));
        let mut steps = Vec::new();
        for record in records {
            for protocol in record.leads_to(self.service, wanted) {
                let name = record.replacement.clone();
                let step = match record.flag {
                    Flag::Continue if depth < DEEPEST_DELEGATION => Some(Step::Delegation {
                        name,
                        protocols: vec![protocol],
                        reference: reference.clone(),
                        depth: depth + 1,
                    }),
                    Flag::Continue => None,
                    Flag::Service => Some(Step::Service {
                        name,
                        protocol,
                        reference: Reference::Start(reference.clone()),
                    }),
                    Flag::Address => {
                        let port = self.service.default_port(protocol);
                        port.map(|port| Step::Host {
                            name,
                            protocol,
                            port,
                            reference: reference.clone(),
                            rank: 0,
                        })
                    }
                };
                steps.extend(step);
            }
        }
        steps
    }

    fn instances(
        &self,
        records: Vec<Record>,
        domain: &DomainName,
        protocol: ApplicationProtocol,
    ) -> Vec<Step> {
        let instance = |record| match record {
            Record::Ptr(name) if dns_sd::is_instance(&name, self.service, protocol) => {
                Some(Step::Service {
                    name,
                    protocol,
                    reference: Reference::HostWithin(domain.clone()),
                })
            }
            _ => None,
        };
        records.into_iter().filter_map(instance).collect()
    }

    fn hosts(
        &mut self,
        records: Vec<Record>,
        protocol: ApplicationProtocol,
        reference: &Reference,
    ) -> Vec<Step> {
        let records = records.into_iter().filter_map(|record| match record {
            Record::Srv(srv) => Some(srv),
            _ => None,
        });
        let step = |record: Srv| {
            let name = record.target.filter(|_| record.port != 0)?;
            let (reference, rank) = match reference {
                Reference::Start(start) => (start.clone(), 0),
                Reference::HostWithin(domain) => {
                    let host = HostName::try_from(name.clone()).ok();
                    let host = host.filter(|_| name.is_within(domain))?;
                    (host, record.priority)
                }
            };
            Some(Step::Host {
                name,
                protocol,
                port: record.port,
                reference,
                rank,
            })
        };
        srv::in_order(records.collect(), &mut self.rng)
            .into_iter()
            .filter_map(step)
            .collect()
    }
}
