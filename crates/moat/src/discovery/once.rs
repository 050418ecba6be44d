//! `moat pvd discover`: discovery once, on one interface, to be looked at.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Args;
use discovery::{DomainName, Family, Finding, TrustedName, TrustedNames};
use pvd::{Endpoint, InterfaceName, Transport};
use serde::Serialize;

use super::attachment::Attachment;
use super::driver::{Driver, Event, Wanted};
use crate::resolver::Assurance;

/// How long it may all take. DHCP gets its patience, and each of the questions to the DNS some seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Where to look.
#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// Interface
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) interface: InterfaceName,
    /// Domain to look in when DHCP names none
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<DomainName>,
    /// Resolver to use instead of those that DHCP names
    #[arg(long = "dns", value_name = "ADDRESS")]
    pub(crate) resolvers: Vec<IpAddr>,
    /// Believe only this name, or all below it as in *.example.com
    #[arg(long, value_name = "NAME")]
    pub(crate) trusted: Vec<TrustedName>,
}

/// Why there was nothing to look at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The interface is not there.
    #[error("there is no interface {0}")]
    NoInterface(InterfaceName),
    /// It has no addresses.
    #[error("{0} has no address to ask from; is it up?")]
    NoAddress(InterfaceName),
    /// Packet sockets are for root and CAP_NET_RAW.
    #[error("{interface}: {error}; discovery needs root or the capability CAP_NET_RAW")]
    Socket {
        /// Where.
        interface: InterfaceName,
        /// What the system said.
        error: io::Error,
    },
    /// Something else that the system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Where.
    pub(crate) interface: String,
    /// The families that were looked in.
    pub(crate) families: Vec<FamilyReport>,
}

/// What was found with one family.
#[derive(Debug, Serialize)]
pub(crate) struct FamilyReport {
    /// `ipv6` or `ipv4`.
    pub(crate) family: &'static str,
    /// By which carrier; absent if nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) how: Option<String>,
    /// Seconds until it is asked for again; absent if only when the network changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_in: Option<u64>,
    /// The agents, in order of preference.
    pub(crate) servers: Vec<ServerReport>,
    /// Who was named and is not trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<String>,
}

/// An agent.
#[derive(Debug, Serialize)]
pub(crate) struct ServerReport {
    /// What its certificate must be for.
    pub(crate) name: String,
    /// Where it may be, in order of preference, as `udp [2001:db8::1]:4646`.
    pub(crate) endpoints: Vec<String>,
}

/// Looks, until each family has found something or tried everything.
///
/// # Errors
/// [`Error`]
pub(crate) fn discover(args: &DiscoverArgs) -> Result<Report, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(look(args))
}

async fn look(args: &DiscoverArgs) -> Result<Report, Error> {
    let interface = &args.interface;
    let attachment =
        Attachment::of(interface)?.ok_or_else(|| Error::NoInterface(interface.clone()))?;
    let assurance = Assurance::default();
    let wanted = Wanted {
        trusted: TrustedNames::new(args.trusted.clone()),
        domain: args.domain.clone(),
        resolvers: args
            .resolvers
            .iter()
            .map(|server| SocketAddr::new(*server, assurance.port()))
            .collect(),
        assurance,
        addresses: Vec::new(),
    };
    let mut driver =
        Driver::new(&attachment, &wanted, &BTreeMap::new()).map_err(|error| Error::Socket {
            interface: interface.clone(),
            error,
        })?;
    let mut families: Vec<(Family, FamilyReport)> = driver
        .families()
        .map(|family| (family, FamilyReport::empty(family)))
        .collect();
    if families.is_empty() {
        return Err(Error::NoAddress(interface.clone()));
    }
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let Ok(event) = tokio::time::timeout_at(end, driver.next()).await else {
            break;
        };
        let event = event?;
        let family = match &event {
            Event::Found(finding) => finding.family,
            Event::Nothing(family) | Event::Refused(family, _) => *family,
        };
        let reports = families.iter_mut().filter(|(of, _)| *of == family);
        for (_, report) in reports {
            report.take(&event);
        }
        let is_last = !matches!(event, Event::Refused(..));
        if is_last && driver.is_settled() {
            break;
        }
    }
    Ok(Report {
        interface: interface.to_string(),
        families: families.into_iter().map(|(_, report)| report).collect(),
    })
}

impl Report {
    /// Whether there is an agent.
    pub(crate) fn is_found(&self) -> bool {
        self.families.iter().any(|family| family.how.is_some())
    }
}

impl FamilyReport {
    fn empty(family: Family) -> Self {
        Self {
            family: match family {
                Family::V6 => "ipv6",
                Family::V4 => "ipv4",
            },
            how: None,
            expires_in: None,
            servers: Vec::new(),
            refused: Vec::new(),
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Found(finding) => {
                self.how = Some(finding.how.to_string());
                let in_seconds = |at: Instant| {
                    let rounded = at.saturating_duration_since(Instant::now()).as_secs_f64();
                    Duration::from_secs_f64(rounded.round()).as_secs()
                };
                self.expires_in = finding.expires.map(in_seconds);
                self.servers = servers(finding);
            }
            Event::Nothing(_) => {
                self.how = None;
                self.expires_in = None;
                self.servers.clear();
            }
            Event::Refused(_, who) => self.refused.push(who.to_string()),
        }
    }
}

fn servers(finding: &Finding) -> Vec<ServerReport> {
    let endpoint = |endpoint: &Endpoint| {
        let transport = match endpoint.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        format!("{transport} {}", endpoint.address)
    };
    let server = |agent: &discovery::Agent| ServerReport {
        name: agent.reference.to_string(),
        endpoints: agent.endpoints.iter().map(endpoint).collect(),
    };
    finding.agents.iter().map(server).collect()
}
