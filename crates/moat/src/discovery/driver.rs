//! Carries out discovery on one interface: a procedure for each address family, and what they share.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use discovery::dhcp::exchange::Version;
use discovery::dns::{Answer, ApplicationService, Failure, Query};
use discovery::{
    Cause, DomainName, Family, Finding, Output, Procedure, ReferenceIdentifier, Settings,
    TrustedNames,
};
use tokio::task::JoinSet;

use super::attachment::Attachment;
use super::names::{self, Names};
use super::packet_socket::PacketSocket;
use crate::client::sleep_until;
use crate::clock;
use crate::resolver::Assurance;

/// What to look for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The names that are believed.
    pub(crate) trusted: TrustedNames,
    /// The domain to look in when DHCP names none.
    pub(crate) domain: Option<DomainName>,
    /// The resolvers to use instead of those that DHCP names.
    pub(crate) resolvers: Vec<SocketAddr>,
    /// How resolvers are asked (RFC 8973 §8.2, §8.3).
    pub(crate) assurance: Assurance,
    /// Own addresses to ask resolvers from, instead of all that the interface has: it may have some of other networks.
    pub(crate) addresses: Vec<IpAddr>,
}

/// What discovery came to.
#[derive(Debug)]
pub(crate) enum Event {
    /// These agents serve, and none that were found before with the same family.
    Found(Finding),
    /// There are none.
    Nothing(Family),
    /// An agent was named that is not trusted.
    Refused(Family, ReferenceIdentifier),
}

/// What the tasks of a driver bring.
enum Incoming {
    Message(usize, io::Result<Vec<u8>>),
    Answer(usize, Query, Result<Answer, Failure>),
}

struct Lane {
    family: Family,
    procedure: Procedure,
    socket: Arc<PacketSocket>,
}

/// Discovery on one interface as it is attached now.
pub(crate) struct Driver {
    lanes: Vec<Lane>,
    names: Names,
    tasks: JoinSet<Incoming>,
}

impl Driver {
    /// Begins, with each family that the interface has an address of. What was found before on this network is `in_use`.
    ///
    /// # Errors
    /// Those of the system, as without the capability CAP_NET_RAW.
    pub(crate) fn new(
        attachment: &Attachment,
        wanted: &Wanted,
        in_use: &BTreeMap<Family, Finding>,
    ) -> io::Result<Self> {
        let v4 = attachment
            .ipv4()
            .map(|address| (Family::V4, Version::V4(address)));
        let mut driver = Self {
            lanes: Vec::new(),
            names: Names::new(attachment, wanted),
            tasks: JoinSet::new(),
        };
        for (family, version) in [(Family::V6, Version::V6)].into_iter().chain(v4) {
            let Some(socket) = PacketSocket::open(attachment, version)? else {
                continue;
            };
            let settings = Settings {
                interface: attachment.interface.clone(),
                link: attachment.link.clone(),
                version,
                service: ApplicationService::Dots,
                configured: Vec::new(),
                trusted: wanted.trusted.clone(),
                domain: wanted.domain.clone(),
                in_use: in_use.get(&family).cloned(),
            };
            let seed = clock::short_seed().map_err(io::Error::other)?;
            let lane = Lane {
                family,
                procedure: Procedure::new(Instant::now(), settings, seed),
                socket: Arc::new(socket),
            };
            driver.receive(driver.lanes.len(), &lane.socket);
            driver.lanes.push(lane);
        }
        Ok(driver)
    }

    /// The families that are looked in.
    pub(crate) fn families(&self) -> impl Iterator<Item = Family> {
        self.lanes.iter().map(|lane| lane.family)
    }

    /// The resolvers that names of this network are looked up with.
    pub(crate) fn resolvers(&self) -> Vec<SocketAddr> {
        self.names.servers(&self.learned(None))
    }

    /// The resolvers that either family knows of, those of the lane `first` before others.
    fn learned(&self, first: Option<usize>) -> Vec<IpAddr> {
        let own = first.and_then(|number| self.lanes.get(number));
        let mut learned: Vec<IpAddr> = Vec::new();
        for lane in own.into_iter().chain(&self.lanes) {
            for server in lane.procedure.resolvers() {
                if !learned.contains(server) {
                    learned.push(*server);
                }
            }
        }
        learned
    }

    /// Begins again, for a reason that no timer knows.
    pub(crate) fn restart(&mut self, cause: Cause) {
        let now = Instant::now();
        for lane in &mut self.lanes {
            lane.procedure.restart(now, cause);
        }
    }

    /// Whether everything was tried, or found.
    pub(crate) fn is_settled(&self) -> bool {
        self.lanes.iter().all(|lane| lane.procedure.is_settled())
    }

    /// The next event. What was begun goes on when this is cancelled and called again.
    ///
    /// # Errors
    /// When the interface is gone.
    pub(crate) async fn next(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.carry_out()? {
                return Ok(event);
            }
            let timeouts = self.lanes.iter().map(|lane| lane.procedure.poll_timeout());
            let wake = timeouts.flatten().min();
            tokio::select! {
                incoming = next(&mut self.tasks) => self.take(incoming)?,
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    for lane in &mut self.lanes {
                        lane.procedure.handle_timeout(now);
                    }
                }
            }
        }
    }

    /// Carries out what the procedures want, up to the first event.
    fn carry_out(&mut self) -> io::Result<Option<Event>> {
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(output) = lane.procedure.poll_output() {
                let family = lane.family;
                match output {
                    Output::Transmit(message) => lane.socket.send(&message),
                    Output::Ask(query) => self.ask(number, query),
                    Output::Found(finding) => return Ok(Some(Event::Found(finding))),
                    Output::Nothing => return Ok(Some(Event::Nothing(family))),
                    Output::Refused(who) => return Ok(Some(Event::Refused(family, who))),
                }
                return self.carry_out();
            }
        }
        Ok(None)
    }

    fn ask(&mut self, number: usize, query: Query) {
        let learned = self.learned(Some(number));
        let resolver = self.names.resolver(&learned);
        self.tasks.spawn(async move {
            let answer = names::ask(resolver, &query).await;
            Incoming::Answer(number, query, answer)
        });
    }

    fn receive(&mut self, number: usize, socket: &Arc<PacketSocket>) {
        let socket = Arc::clone(socket);
        self.tasks
            .spawn(async move { Incoming::Message(number, socket.receive().await) });
    }

    fn take(&mut self, incoming: Incoming) -> io::Result<()> {
        let now = Instant::now();
        match incoming {
            Incoming::Message(number, message) => {
                let message = message?;
                let Some(lane) = self.lanes.get_mut(number) else {
                    return Ok(());
                };
                if let Err(reason) = lane.procedure.handle_datagram(now, &message) {
                    tracing::debug!(family = ?lane.family, %reason, "a DHCP message is not for discovery");
                }
                let socket = Arc::clone(&lane.socket);
                self.receive(number, &socket);
            }
            Incoming::Answer(number, query, answer) => {
                tracing::debug!(name = %query.name, kind = ?query.kind, ?answer, "answer of the DNS");
                if let Some(lane) = self.lanes.get_mut(number) {
                    lane.procedure.handle_answer(now, &query, answer);
                }
            }
        }
        Ok(())
    }
}

/// A task that did not end by itself was stopped with the driver, and has nothing to say.
async fn next(tasks: &mut JoinSet<Incoming>) -> Incoming {
    match tasks.join_next().await {
        Some(Ok(incoming)) => incoming,
        _ => pending().await,
    }
}
