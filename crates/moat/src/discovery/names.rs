//! Carries the questions of discovery to the resolvers of the network, and of no other (RFC 7556 §5.2).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use discovery::DomainName;
use discovery::dns::{Answer, Failure, Naptr, Query, Record, RecordKind, Srv};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::attachment::Attachment;
use super::driver::Wanted;
use crate::resolver::{Assurance, Link, Resolver};

/// The resolvers of a network as they were last heard of.
#[derive(Debug)]
pub(super) struct Names {
    link: Link,
    /// Those of the configuration; they replace what DHCP says.
    configured: Vec<SocketAddr>,
    assurance: Assurance,
    current: Option<(Vec<SocketAddr>, Resolver)>,
}

impl Names {
    pub(super) fn new(attachment: &Attachment, wanted: &Wanted) -> Self {
        let known = |written: &IpAddr| {
            let mut own = attachment.addresses.iter();
            let own = own.find(|own| own.address == *written).copied();
            own.unwrap_or_else(|| (*written).into())
        };
        let addresses = match wanted.addresses.as_slice() {
            [] => attachment.addresses.clone(),
            written => written.iter().map(known).collect(),
        };
        Self {
            link: Link {
                interface: Some(attachment.interface.name.clone()),
                addresses,
            },
            configured: wanted.resolvers.clone(),
            assurance: wanted.assurance.clone(),
            current: None,
        }
    }

    /// Whom to ask, with the resolvers that DHCP named.
    pub(super) fn servers(&self, learned: &[IpAddr]) -> Vec<SocketAddr> {
        match self.configured.as_slice() {
            [] => learned
                .iter()
                .map(|server| SocketAddr::new(*server, self.assurance.port()))
                .collect(),
            configured => configured.to_vec(),
        }
    }

    /// The same, ready to be asked; `None` if there is nobody.
    pub(super) fn resolver(&mut self, learned: &[IpAddr]) -> Option<Resolver> {
        let servers = self.servers(learned);
        if servers.is_empty() {
            return None;
        }
        if self
            .current
            .as_ref()
            .is_none_or(|(known, _)| *known != servers)
        {
            // What was in the cache of others is not believed of these.
            let resolver = Resolver::new(&servers, &self.assurance, self.link.clone()).ok()?;
            self.current = Some((servers, resolver));
        }
        self.current.as_ref().map(|(_, resolver)| resolver.clone())
    }
}

/// Asks one question.
pub(super) async fn ask(resolver: Option<Resolver>, query: &Query) -> Result<Answer, Failure> {
    let resolver = resolver.ok_or(Failure::Unavailable)?;
    let kind = match query.kind {
        RecordKind::Naptr => RecordType::NAPTR,
        RecordKind::Srv => RecordType::SRV,
        RecordKind::Ptr => RecordType::PTR,
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
    };
    let mut name = Name::from_labels(query.name.labels()).map_err(|_| Failure::NoRecords(None))?;
    name.set_fqdn(true);
    let found = resolver
        .lookup(name, kind)
        .await
        .map_err(|error| failure(&error))?;
    let of_kind = found
        .answers()
        .iter()
        .filter(|record| record.record_type() == kind);
    let records = of_kind.filter_map(|found| record(&found.data)).collect();
    let ttl = found
        .valid_until()
        .saturating_duration_since(Instant::now());
    Ok(Answer { records, ttl })
}

fn failure(error: &NetError) -> Failure {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let seconds = none.negative_ttl.map(u64::from);
            Failure::NoRecords(seconds.map(Duration::from_secs))
        }
        _ => Failure::Unavailable,
    }
}

/// `None` for what cannot be a record of DOTS.
fn record(data: &RData) -> Option<Record> {
    match data {
        RData::A(address) => Some(Record::Address(IpAddr::V4(address.0))),
        RData::AAAA(address) => Some(Record::Address(IpAddr::V6(address.0))),
        RData::PTR(target) => Some(Record::Ptr(domain_name(&target.0)?)),
        RData::SRV(srv) => Some(Record::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: domain_name(&srv.target),
        })),
        RData::NAPTR(naptr) => Some(Record::Naptr(Naptr::new(
            (naptr.order, naptr.preference),
            &naptr.flags,
            &naptr.services,
            &naptr.regexp,
            domain_name(&naptr.replacement)?,
        )?)),
        _ => None,
    }
}

/// `None` for the root.
fn domain_name(name: &Name) -> Option<DomainName> {
    DomainName::from_labels(name.iter()).ok()
}
