//! What the DHCP servers of each link say, but for addresses: asked without taking a lease, beside the DHCP client of the system
//! (RFC 8415 §6.1, RFC 2131 §3.4).
//!
//! ```text
//! link, addresses, M and O of routers --settle--> Inquiries --starts, ends--> ask (a task for each interface and family)
//!                                                    |  <--Said-- what the first server says, until it is asked again
//!                                                    `--leased--> Host::handle_leases
//! ```
//!
//! DHCPv4 is asked where the interface has an address of it, DHCPv6 where a router sends hosts there. What was answered holds until
//! somebody answers something else, or the interface is elsewhere.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use discovery::dhcp::exchange::Version;
use discovery::dhcp::{Exchange, Information};
use pvd::InterfaceName;
use pvd::host::{Lease, Leased};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use crate::clock;
use crate::discovery::{Attachment, PacketSocket};

/// Answers that may wait.
const MAX_WAITING: usize = 16;
/// How long to wait when the socket cannot be used.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What a DHCP server has said.
#[derive(Debug)]
pub(super) struct Said {
    key: Key,
    number: u64,
    information: Information,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    interface: InterfaceName,
    is_v6: bool,
}

/// A task that asks; it ends with this.
#[derive(Debug)]
struct Inquiry {
    /// The answers of an earlier one do not count.
    number: u64,
    attachment: Attachment,
    version: Version,
    answer: Option<Information>,
    task: JoinHandle<()>,
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All who are asked.
#[derive(Debug)]
pub(super) struct Inquiries {
    told: mpsc::Sender<Said>,
    under_way: BTreeMap<Key, Inquiry>,
    begun: u64,
}

impl Inquiries {
    /// Nobody yet; and where answers come.
    pub(super) fn new() -> (Self, mpsc::Receiver<Said>) {
        let (told, answers) = mpsc::channel(MAX_WAITING);
        let inquiries = Self {
            told,
            under_way: BTreeMap::new(),
            begun: 0,
        };
        (inquiries, answers)
    }

    /// The interface is on another network, or on none.
    pub(super) fn forget(&mut self, interface: &InterfaceName) {
        self.under_way.retain(|key, _| key.interface != *interface);
    }

    /// Asks on an interface as it is now; whether an answer has gone with whoever was asked.
    pub(super) fn settle(
        &mut self,
        interface: &InterfaceName,
        attachment: Option<&Attachment>,
        is_sent_to_dhcpv6: bool,
    ) -> bool {
        let is_address = |address: &Ipv4Addr| !address.is_loopback() && !address.is_link_local();
        let v4 = attachment.and_then(Attachment::ipv4).filter(is_address);
        let v6 = attachment.and_then(|it| it.link_local);
        let v6 = v6.filter(|_| is_sent_to_dhcpv6);
        let mut is_gone = false;
        for (is_v6, version) in [
            (false, v4.map(Version::V4)),
            (true, v6.map(|_| Version::V6)),
        ] {
            let interface = interface.clone();
            let key = Key { interface, is_v6 };
            let wanted = attachment.zip(version);
            let known = self.under_way.get(&key);
            if let (Some(known), Some((attachment, version))) = (known, wanted)
                && known.is_from(attachment, version)
            {
                continue;
            }
            let ended = self.under_way.remove(&key);
            is_gone |= ended.is_some_and(|inquiry| inquiry.answer.is_some());
            if let Some((attachment, version)) = wanted {
                self.begin(key, attachment.clone(), version);
            }
        }
        is_gone
    }

    fn begin(&mut self, key: Key, attachment: Attachment, version: Version) {
        self.begun += 1;
        let number = self.begun;
        let task = ask(
            key.clone(),
            number,
            attachment.clone(),
            version,
            self.told.clone(),
        );
        let inquiry = Inquiry {
            number,
            attachment,
            version,
            answer: None,
            task: tokio::task::spawn_local(task),
        };
        self.under_way.insert(key, inquiry);
    }

    /// Takes an answer; of which interface, unless it is one to a question of before.
    pub(super) fn take(&mut self, answer: Said) -> Option<InterfaceName> {
        let inquiry = self.under_way.get_mut(&answer.key)?;
        let is_its = inquiry.number == answer.number;
        is_its.then(|| {
            inquiry.answer = Some(answer.information);
            answer.key.interface
        })
    }

    /// All that was answered on an interface.
    pub(super) fn leased(&self, interface: &InterfaceName) -> Vec<Leased> {
        let answered = self.under_way.iter().filter_map(|(key, inquiry)| {
            let information = inquiry.answer.as_ref()?;
            (key.interface == *interface).then(|| Leased {
                lease: match key.is_v6 {
                    true => Lease::Stateless,
                    false => Lease::Legacy,
                },
                resolvers: information.resolvers.clone(),
                search: information.search.clone(),
            })
        });
        answered.collect()
    }
}

impl Inquiry {
    /// Whether it asks from there already.
    fn is_from(&self, attachment: &Attachment, version: Version) -> bool {
        let is_there = self.attachment.interface == attachment.interface
            && self.attachment.link == attachment.link;
        let is_v6 = version == Version::V6;
        let is_same = !is_v6 || self.attachment.link_local == attachment.link_local;
        self.version == version && is_there && is_same
    }
}

/// Asks for ever.
async fn ask(
    key: Key,
    number: u64,
    attachment: Attachment,
    version: Version,
    told: mpsc::Sender<Said>,
) {
    loop {
        let tell = |information| Said {
            key: key.clone(),
            number,
            information,
        };
        let Err(error) = exchange(&attachment, version, &told, tell).await else {
            return;
        };
        tracing::info!(interface = %key.interface, ?version, %error, "DHCP cannot be asked");
        tokio::time::sleep(AFTER_FAILURE).await;
    }
}

/// Until nobody listens any more, or the socket fails.
async fn exchange(
    attachment: &Attachment,
    version: Version,
    told: &mpsc::Sender<Said>,
    tell: impl Fn(Information) -> Said,
) -> io::Result<()> {
    let socket = PacketSocket::open(attachment, version)?;
    let socket = socket.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let seed = clock::short_seed().map_err(io::Error::other)?;
    let link = attachment.link.clone();
    let mut exchange = Exchange::new(Instant::now(), version, link, seed);
    loop {
        while let Some(message) = exchange.poll_transmit(Instant::now()) {
            socket.send(&message);
        }
        let timeout = exchange.poll_timeout();
        let wait = async {
            match timeout {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            datagram = socket.receive() => {
                match exchange.handle_datagram(Instant::now(), &datagram?) {
                    Ok(information) => {
                        tracing::debug!(?version, ?information, "DHCP has answered");
                        if told.send(tell(information)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(ignored) => tracing::debug!(?version, %ignored, "a DHCP message does not count"),
                }
            }
            () = wait => {}
        }
    }
}
