//! A host on a virtual clock.

mod additional_information;
mod advertisements;
mod flood;
mod leases;
mod random;
mod restraint;
mod shelf;
mod tunnels;

use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::bindings::router_advertisement::{
    Announced, Delay, Header, Lifetime, NdOption, PrefixInformation, PvdOption,
};
use crate::evidence::KeyBinding;
use crate::source_address::{Kind, Stage};

const ROUTER: &str = "fe80::1";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A host, its clock, and what it asked for.
struct Rig {
    host: Host,
    now: Now,
    orders: Vec<(Instant, FetchOrder)>,
    abandoned: Vec<OrderNumber>,
    solicited: usize,
    kept: Vec<(String, Provenance)>,
    changes: usize,
    renewals: usize,
}

impl Rig {
    #[allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
    fn new(settings: Settings, seed: u64) -> Self {
        let now = Now {
            instant: Instant::now(),
            // 2026-01-01
            system: SystemTime::UNIX_EPOCH + seconds(1_767_225_600),
        };
        let host = Host::new(settings, fastrand::Rng::with_seed(seed));
        let mut rig = Self {
            host,
            now,
            orders: Vec::new(),
            abandoned: Vec::new(),
            solicited: 0,
            kept: Vec::new(),
            changes: 0,
            renewals: 0,
        };
        rig.attach("fixed0", LinkEvidence::Wired);
        rig
    }

    fn attach(&mut self, interface: &str, link: LinkEvidence) {
        self.host.handle_attached(&name(interface), link, self.now);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(action) = self.host.poll_action() {
            match action {
                Action::Fetch(order) => self.orders.push((self.now.instant, order)),
                Action::Abandon(order) => self.abandoned.push(order),
                Action::Solicit(_) => self.solicited += 1,
                Action::Keep {
                    pvd, provenance, ..
                } => self.kept.push((pvd.to_string(), provenance)),
                Action::Changed => self.changes += 1,
                Action::Renewed => self.renewals += 1,
            }
        }
    }

    fn hear_on(&mut self, interface: &str, source: &str, advertisement: &RouterAdvertisement) {
        let source = source.parse().unwrap();
        let (interface, now) = (name(interface), self.now);
        self.host
            .handle_advertisement(&interface, source, advertisement, now);
        self.poll();
    }

    fn hear(&mut self, source: &str, advertisement: &RouterAdvertisement) {
        self.hear_on("fixed0", source, advertisement);
    }

    fn address_on(&mut self, interface: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| own(text)).collect();
        self.host
            .handle_addresses(&name(interface), addresses, self.now);
        self.poll();
    }

    fn address(&mut self, addresses: &[&str]) {
        self.address_on("fixed0", addresses);
    }

    /// Lets time go by, with every timer at its time.
    fn wait(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while let Some(at) = self.host.poll_timeout().filter(|at| *at <= end) {
            let step = at.saturating_duration_since(self.now.instant);
            self.now.instant += step;
            self.now.system += step;
            self.host.handle_timeout(self.now);
            self.poll();
            let next = self.host.poll_timeout();
            assert!(
                next.is_none_or(|next| next > self.now.instant),
                "it would run in circles"
            );
        }
        self.now.system += end - self.now.instant;
        self.now.instant = end;
    }

    fn answer(&mut self, fetched: Fetched) {
        let (_, order) = self.orders.last().unwrap();
        self.host.handle_fetched(order.number, fetched, self.now);
        self.poll();
    }

    /// The object of a PvD, good for so long.
    fn object(&self, id: &str, prefixes: &str, validity: Duration) -> Fetched {
        Fetched::Object {
            bytes: self.text(id, prefixes, validity),
            data: DataEvidence::Tls,
            signed: None,
        }
    }

    /// The same, with a signature that somebody else has found to be good.
    fn signed(
        &self,
        id: &str,
        prefixes: &str,
        validity: Duration,
        provenance: Provenance,
    ) -> SignedObject {
        let bytes = self.text(id, prefixes, validity);
        SignedObject {
            compact: String::from_utf8_lossy(&bytes).into(),
            bytes,
            binding: KeyBinding::Pinned,
            provenance,
        }
    }

    fn text(&self, id: &str, prefixes: &str, validity: Duration) -> Vec<u8> {
        let expires = self.now.system + validity;
        let expires = time::OffsetDateTime::from(expires);
        let expires = expires
            .format(&time::format_description::well_known::Rfc3339)
            .unwrap();
        let text = format!(
            r#"{{"identifier":"{id}","expires":"{expires}","prefixes":[{prefixes}],"dnsZones":["{id}"]}}"#
        );
        text.into_bytes()
    }

    fn view(&self, identity: &str) -> View {
        let mut views = self.host.domains(self.now).into_iter();
        let found = views.find(|view| view.identity.to_string() == identity);
        found.unwrap_or_else(|| panic!("there is no {identity}"))
    }

    fn identities(&self) -> Vec<String> {
        let views = self.host.domains(self.now).into_iter();
        views.map(|view| view.identity.to_string()).collect()
    }

    fn state(&self, id: &str) -> InformationState {
        self.view(id).state
    }
}

fn failed(kind: FailureKind) -> Fetched {
    Fetched::Failed(Failure::new(kind, &"so it was"))
}

fn name(interface: &str) -> InterfaceName {
    interface.parse().unwrap()
}

fn own(text: &str) -> OwnAddress {
    OwnAddress::from(text.parse::<std::net::IpAddr>().unwrap())
}

fn prefix_for(text: &str, lifetime: Lifetime) -> NdOption {
    NdOption::PrefixInformation(PrefixInformation {
        prefix: text.parse().unwrap(),
        is_on_link: true,
        is_autonomous: true,
        valid: lifetime,
        preferred: lifetime,
    })
}

fn prefix(text: &str) -> NdOption {
    prefix_for(text, Lifetime::Infinite)
}

fn resolver(text: &str) -> NdOption {
    NdOption::RecursiveDnsServers {
        lifetime: Lifetime::Seconds(3600),
        addresses: vec![text.parse().unwrap()],
    }
}

/// Without a PvD option.
fn implicit(options: &[NdOption]) -> RouterAdvertisement {
    RouterAdvertisement {
        outer: Header {
            router_lifetime: 1800,
            ..Header::default()
        },
        outer_options: options.to_vec(),
        pvd: None,
    }
}

/// With one, and additional information of this sequence number.
fn explicit(id: &str, number: Option<u16>, options: &[NdOption]) -> RouterAdvertisement {
    delayed(id, number.map(|number| (number, 0)), options)
}

fn delayed(id: &str, announced: Option<(u16, u8)>, options: &[NdOption]) -> RouterAdvertisement {
    let pvd = PvdOption {
        id: id.parse().unwrap(),
        additional_information: announced.map(|(sequence_number, delay)| Announced {
            delay: Delay::new(delay).unwrap(),
            sequence_number,
        }),
        has_legacy: false,
        header: None,
        options: options.to_vec(),
    };
    RouterAdvertisement {
        pvd: Some(pvd),
        ..implicit(&[])
    }
}

const PREFIX: &str = "2001:db8:1::/64";
const ADDRESS: &str = "2001:db8:1::5";
const RESOLVER: &str = "2001:db8:1::53";

/// A PvD that can be asked.
fn askable(id: &str, number: u16) -> RouterAdvertisement {
    explicit(id, Some(number), &[prefix(PREFIX), resolver(RESOLVER)])
}

/// A host that has just asked `pvd.example`.
fn asking() -> Rig {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[ADDRESS]);
    rig.hear(ROUTER, &askable("pvd.example", 7));
    assert_eq!(rig.orders.len(), 1);
    rig
}

/// A host that holds the information of `pvd.example` for so long.
fn holding(validity: Duration) -> Rig {
    let mut rig = asking();
    let object = rig.object("pvd.example", r#""2001:db8:1::/48""#, validity);
    rig.answer(object);
    assert_eq!(rig.state("pvd.example"), InformationState::Held);
    rig
}
