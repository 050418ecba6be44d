//! What `moat pvd watch` knows of the client's PvDs, as it changes.
//!
//! ```text
//! moat pvd watch --a line of JSON for each change--> follow --Provisioned--> Networks
//!       ^                                              |
//!       '---------- connects again after a pause ------'
//! ```
//!
//! It is a level: what was said last of a PvD holds until something else is said, also while nobody answers at the socket. A new connection
//! begins with all that there is, so what is not named soon after is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::net::if_::if_nametoindex;
use pvd::information::DotsServerEntry;
use pvd::source_address::{Kind, Stage};
use pvd::{
    AdditionalInformation, InterfaceName, LinkEvidence, Observed, OwnAddress, ProvisioningDomain,
    PvdId, TrustPolicy,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::unplaced::look_up;
use crate::provisioning::watch::{AddressView, DOTS_SERVERS, DomainView, Event, Question};
use crate::resolver::Assurance;

/// Longest line, in bytes: an object of 64 KiB, and what an interface may have beside it, with all escapes of JSON.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// Until it is tried again to reach who watches.
const AGAIN: Duration = Duration::from_secs(5);
/// After a connection, what there is has been said.
const SAID_WITHIN: Duration = Duration::from_secs(5);

/// A PvD that is followed.
#[derive(Clone)]
pub(super) struct Followed {
    pub(super) id: PvdId,
    pub(super) interface: InterfaceName,
    /// Its resolvers, where the file says so.
    pub(super) resolvers: Vec<SocketAddr>,
    /// How they are asked.
    pub(super) assurance: Assurance,
}

/// What is known of one now.
#[derive(Debug)]
pub(crate) struct Provisioned {
    pub(super) pvd: PvdId,
    /// `None`: it is not there any more.
    pub(super) seen: Option<Seen>,
}

/// A PvD as it is seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) domain: ProvisioningDomain,
    pub(super) resolvers: Vec<SocketAddr>,
    /// Its DOTS servers whose addresses are still to be found.
    pub(super) unplaced: Vec<DotsServerEntry>,
    /// Why what it says of itself does not count.
    pub(super) refused: Option<String>,
}

impl Seen {
    /// Goes on with what the PvD was proved to say before.
    fn keep(&mut self, before: &Self) {
        self.domain = ProvisioningDomain {
            addresses: self.domain.addresses.clone(),
            ..before.domain.clone()
        };
        self.unplaced.clone_from(&before.unplaced);
    }
}

/// Reports what becomes of these PvDs, for as long as anybody listens.
pub(super) async fn follow(
    socket: PathBuf,
    followed: Vec<Followed>,
    reports: mpsc::Sender<Provisioned>,
) {
    let mut level = Level {
        followed,
        known: BTreeMap::new(),
        named: BTreeSet::new(),
    };
    let mut lookups = BTreeMap::new();
    let mut told = None;
    while !reports.is_closed() {
        let ended = attend(&socket, &mut level, &mut lookups, &reports).await;
        let why = match ended {
            Ok(()) => "it has ended".to_owned(),
            Err(error) => error.to_string(),
        };
        // Who is away for a day says so once.
        if told.as_ref() != Some(&why) {
            tracing::warn!(socket = %socket.display(), why, "nobody tells of provisioning domains; `moat pvd watch` does");
            told = Some(why);
        }
        sleep(AGAIN).await;
    }
}

/// A task that ends with this.
struct Lookup(JoinHandle<()>);

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What was said last of each PvD.
struct Level {
    followed: Vec<Followed>,
    known: BTreeMap<PvdId, Seen>,
    /// Those that were named since the connection began.
    named: BTreeSet<PvdId>,
}

impl Level {
    /// What is different after a line of the feed.
    fn take(&mut self, event: &Event) -> Option<Provisioned> {
        let (view, is_there) = match event {
            Event::Added(view) | Event::Changed(view) => (view, true),
            Event::Removed(view) => (view, false),
        };
        let mut followed = self.followed.iter();
        let it = followed.find(|it| {
            view.pvd.as_deref() == Some(it.id.as_str()) && view.interface == it.interface.as_str()
        })?;
        let pvd = it.id.clone();
        let mut seen = is_there.then(|| see(it, view));
        // Sessions with servers that nobody has taken back are not to be ended over a fetch.
        if let (Some(seen), Some(before)) = (&mut seen, self.known.get(&pvd))
            && view.information.awaited
        {
            seen.keep(before);
        }
        let before = match &seen {
            Some(seen) => {
                self.named.insert(pvd.clone());
                self.known.insert(pvd.clone(), seen.clone())
            }
            None => {
                self.named.remove(&pvd);
                self.known.remove(&pvd)
            }
        };
        (before != seen).then_some(Provisioned { pvd, seen })
    }

    fn assurance(&self, pvd: &PvdId) -> Assurance {
        let mut followed = self.followed.iter();
        let found = followed.find(|it| it.id == *pvd);
        found.map(|it| it.assurance.clone()).unwrap_or_default()
    }

    /// All that there is was said by now: what was not is gone.
    fn complete(&mut self) -> Vec<Provisioned> {
        let named = &self.named;
        let gone = self.known.extract_if(.., |id, _| !named.contains(id));
        let gone = gone.map(|(pvd, _)| Provisioned { pvd, seen: None });
        gone.collect()
    }
}

/// Listens until the other end is gone.
async fn attend(
    socket: &Path,
    level: &mut Level,
    lookups: &mut BTreeMap<PvdId, Lookup>,
    reports: &mpsc::Sender<Provisioned>,
) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    let user = stream.peer_cred()?.uid();
    if user != 0 && user != rustix::process::geteuid().as_raw() {
        let why = format!("user {user} listens there, who is neither root nor the client's own");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let question = serde_json::to_string(&Question::Watch)?;
    stream.write_all(format!("{question}\n").as_bytes()).await?;
    let mut reader = BufReader::new(stream);
    level.named.clear();
    let mut line = Vec::new();
    let mut complete_at = Some(Instant::now() + SAID_WITHIN);
    loop {
        let room = MAX_LINE_BYTES.saturating_sub(line.len() as u64);
        let mut bounded = (&mut reader).take(room);
        let reading = bounded.read_until(b'\n', &mut line);
        let read = match complete_at {
            Some(at) => timeout_at(at, reading).await.ok(),
            None => Some(reading.await),
        };
        let Some(read) = read else {
            complete_at = None;
            for gone in level.complete() {
                lookups.remove(&gone.pvd);
                report(reports, gone).await?;
            }
            continue;
        };
        if read? == 0 || !line.ends_with(b"\n") {
            let is_long = line.len() as u64 >= MAX_LINE_BYTES;
            let why = "what it says is too long";
            return match is_long {
                true => Err(io::Error::new(io::ErrorKind::InvalidData, why)),
                false => Ok(()),
            };
        }
        let event: Event = serde_json::from_slice(&line)?;
        line.clear();
        let Some(Provisioned { pvd, seen }) = level.take(&event) else {
            continue;
        };
        lookups.remove(&pvd);
        match seen {
            Some(seen) if !seen.unplaced.is_empty() => {
                let assurance = level.assurance(&pvd);
                let task = look_up(pvd.clone(), seen, assurance, reports.clone());
                lookups.insert(pvd, Lookup(tokio::task::spawn_local(task)));
            }
            seen => report(reports, Provisioned { pvd, seen }).await?,
        }
    }
}

async fn report(reports: &mpsc::Sender<Provisioned>, what: Provisioned) -> io::Result<()> {
    reports.send(what).await.map_err(io::Error::other)
}

/// What a line says of a PvD. What cannot be read of it is left out: it may come from a newer `moat pvd watch`.
fn see(followed: &Followed, view: &DomainView) -> Seen {
    let (information, refused) = information(&followed.id, view);
    let observed = Observed {
        id: followed.id.clone(),
        interface: followed.interface.clone(),
        link: view.link.parse().unwrap_or(LinkEvidence::Absent),
        addresses: view.addresses.iter().filter_map(own).collect(),
        advertised: view
            .prefixes
            .iter()
            .filter_map(|it| it.prefix.parse().ok())
            .collect(),
        information,
    };
    // Who watches may ask for more, and says so by what he refuses.
    let policy = TrustPolicy::default();
    let (domain, insufficient) = observed.domain(&policy);
    let resolvers = match followed.resolvers.as_slice() {
        [] => {
            let resolvers = view.resolvers.iter();
            let resolvers = resolvers.filter_map(|it| resolver(followed, it.name.parse().ok()?));
            resolvers.collect()
        }
        written => written.to_vec(),
    };
    Seen {
        domain,
        resolvers,
        unplaced: observed.unplaced(&policy),
        refused: refused.or_else(|| insufficient.map(|why| why.to_string())),
    }
}

type Information = (AdditionalInformation, pvd::DataEvidence);

/// The object with what proves it, or why it does not count.
fn information(id: &PvdId, view: &DomainView) -> (Option<Information>, Option<String>) {
    let said = &view.information;
    if let Some(why) = said.refused_for.get(DOTS_SERVERS) {
        return (None, Some(why.clone()));
    }
    let (Some(object), Some(evidence)) = (&said.object, &said.evidence) else {
        return (None, None);
    };
    // Who watches knows when it ends.
    let read = AdditionalInformation::read(object.to_string().as_bytes(), SystemTime::UNIX_EPOCH);
    match (read, evidence.parse()) {
        (Ok(read), Ok(evidence)) if read.information.identifier == *id => {
            (Some((read.information, evidence)), None)
        }
        (Ok(read), Ok(_)) => {
            let why = format!("it is about {}", read.information.identifier);
            (None, Some(why))
        }
        (Err(why), _) => (None, Some(why.to_string())),
        (_, Err(why)) => (None, Some(why.to_string())),
    }
}

fn own(view: &AddressView) -> Option<OwnAddress> {
    let address: IpAddr = view.address.parse().ok()?;
    let mut own = OwnAddress::from(address);
    if view.temporary {
        own.kind = Kind::Temporary;
    }
    if view.deprecated {
        own.stage = Stage::Deprecated;
    }
    Some(own)
}

/// Where a resolver is asked; one of the link is found by the interface.
fn resolver(followed: &Followed, address: IpAddr) -> Option<SocketAddr> {
    match address {
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            let index = if_nametoindex(followed.interface.as_str()).ok()?;
            Some(SocketAddrV6::new(address, followed.assurance.port(), 0, index).into())
        }
        _ => Some(SocketAddr::new(address, followed.assurance.port())),
    }
}

#[cfg(test)]
mod tests;
