//! The file of `moat pvd advertise`: the PvDs of a router, and on which interface each is advertised (RFC 8801 §3.2).

mod options;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pvd::bindings::router_advertisement::{
    Delay, Header, NdOption, PvdOption, RouterAdvertisement,
};
use pvd::router::{Audience, Intervals};
use pvd::{InterfaceName, PvdId};

use super::error::Problem;
use super::machine::{self, Capability};
use super::problem::ProblemKind;
use super::pvds::note_missing_interface;
use super::reader::{Diagnostics, Located, Table, Value};
use super::{note_doubles, path_or, value};

/// The hop limit that hosts are told when nobody says otherwise (RFC 4861 §6.2.1, RFC 1700).
const HOP_LIMIT: u32 = 64;
/// Longest time for which a router may be a default router, in seconds (RFC 4861 §6.2.1).
const LONGEST_ROUTER_LIFETIME: u32 = 9000;

const SECONDS: &str = " seconds";

/// What `moat pvd advertise` is started with.
#[derive(Debug)]
pub(crate) struct AdvertiseConfig {
    /// Where sequence numbers are kept.
    pub(crate) state: PathBuf,
    /// Each interface, and what is advertised there.
    pub(crate) interfaces: BTreeMap<InterfaceName, AdvertisingInterface>,
    /// What is questionable in the file: to be logged.
    pub(crate) warnings: Vec<Problem>,
}

/// An advertising interface (RFC 4861 §6.2.2).
#[derive(Debug, Clone, Default)]
pub(crate) struct AdvertisingInterface {
    /// How often.
    pub(crate) intervals: Intervals,
    /// What hosts are told of the MTU of the link.
    pub(crate) mtu: Option<u32>,
    /// At least one.
    pub(crate) domains: Vec<AdvertisedDomain>,
}

/// A PvD that is advertised.
#[derive(Debug, Clone)]
pub(crate) struct AdvertisedDomain {
    /// From where, if the file says so.
    pub(crate) source: Option<Ipv6Addr>,
    /// What is said, without additional information.
    pub(crate) advertisement: RouterAdvertisement,
    /// Its additional information.
    pub(crate) object: Option<AdvertisedObject>,
}

/// Additional information that hosts are told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AdvertisedObject {
    /// The file with it.
    pub(crate) file: PathBuf,
    /// The file with the same, signed: hosts are told when both are there.
    pub(crate) signed: Option<PathBuf>,
    /// By how much hosts put off asking for it.
    pub(crate) delay: Delay,
}

impl AdvertisedDomain {
    /// Whether hosts without PvDs are told that this is no default router.
    pub(crate) fn is_silent(&self) -> bool {
        self.advertisement.outer.router_lifetime == 0
    }
}

pub(super) fn read(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<AdvertiseConfig> {
    let default = "/var/lib/moat/advertise.json";
    let state = path_or(&mut table, "state", default, folder, diagnostics);
    if diagnostics.is_with_machine() {
        let loss = "nothing is advertised";
        machine::note_capability(Capability::NetRaw, loss, table.place(), diagnostics);
    }
    let interfaces = interfaces(&mut table, diagnostics);
    let domains = domains(&mut table, &interfaces, folder, diagnostics);
    table.finish(diagnostics);
    let mut interfaces = interfaces;
    for (interface, domain) in domains? {
        interfaces
            .entry(interface)
            .or_default()
            .domains
            .push(domain);
    }
    // One that has nothing to say is no advertising interface.
    interfaces.retain(|_, interface| !interface.domains.is_empty());
    Some(AdvertiseConfig {
        state: state?.value,
        interfaces,
        warnings: Vec::new(),
    })
}

fn interfaces(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> BTreeMap<InterfaceName, AdvertisingInterface> {
    let Some(list) = table.take("interface") else {
        return BTreeMap::new();
    };
    let header = "a table for each interface: [[interface]]";
    let (mut names, mut read) = (Vec::new(), BTreeMap::new());
    for value in list.list(header, diagnostics) {
        let Some(mut table) = value.table(header, diagnostics) else {
            continue;
        };
        let name = table.require("name", "\"eth0\"", diagnostics);
        let name = name.and_then(|name| interface(name, diagnostics));
        let most = number(
            &mut table,
            "max_interval",
            4..=1800,
            600,
            SECONDS,
            diagnostics,
        );
        let least = 3..=most.unwrap_or(1800) * 3 / 4;
        let default = (most.unwrap_or(600) / 3).max(3);
        let least = number(
            &mut table,
            "min_interval",
            least,
            default,
            SECONDS,
            diagnostics,
        );
        // RFC 8200 §5: the least that a link carries.
        let mtu = table.take("mtu");
        let mtu = mtu.and_then(|value| value.number(1280..=65_535, " octets", diagnostics));
        table.finish(diagnostics);
        let [least, most] = [least, most].map(|seconds| seconds.map(u64::from));
        let intervals = least.zip(most).and_then(|(least, most)| {
            Intervals::new(Duration::from_secs(least), Duration::from_secs(most))
        });
        if let (Some(name), Some(intervals)) = (name, intervals) {
            let interface = AdvertisingInterface {
                intervals,
                mtu,
                domains: Vec::new(),
            };
            read.insert(name.value.clone(), interface);
            names.push(name);
        }
    }
    note_doubles(&names, diagnostics, |name, other, line| {
        let name = name.to_string();
        ProblemKind::NameTwice { name, other, line }
    });
    read
}

fn domains(
    table: &mut Table<'_>,
    interfaces: &BTreeMap<InterfaceName, AdvertisingInterface>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<(InterfaceName, AdvertisedDomain)>> {
    let header = "a table for each PvD: [[pvd]]";
    let Some(list) = table.take("pvd") else {
        let (table_name, advice) = ("pvd", "write one for each PvD that hosts are to have");
        let kind = ProblemKind::MissingTable {
            table: table_name,
            advice,
        };
        diagnostics.note(table.place(), kind);
        return None;
    };
    let mut read = Some(Vec::new());
    for value in list.filled_list(header, "[[pvd]] instead", diagnostics) {
        let domain = value
            .table(header, diagnostics)
            .and_then(|table| domain(table, interfaces, folder, diagnostics));
        read = read.zip(domain).map(|(mut read, domain)| {
            read.push(domain);
            read
        });
    }
    read
}

fn domain(
    mut table: Table<'_>,
    interfaces: &BTreeMap<InterfaceName, AdvertisingInterface>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<(InterfaceName, AdvertisedDomain)> {
    let on = table.require("interface", "\"eth0\"", diagnostics);
    let on = on.and_then(|name| interface(name, diagnostics));
    let id = match table.take("id") {
        Some(value) => {
            let wanted = "a domain name in quotes, like \"fixed.example\"";
            let id = value.parse(wanted, diagnostics, value::pvd_id);
            id.map(|id| Some(id.value))
        }
        None => Some(None),
    };
    if id == Some(None) {
        note_without_id(&table, diagnostics);
    }
    let source = match table.take("source") {
        Some(value) => {
            let wanted = "a link-local address in quotes, like \"fe80::a\"";
            let source = value.parse(wanted, diagnostics, link_local);
            source.map(|source| Some(source.value))
        }
        None => Some(None),
    };
    let configured = on.as_ref().and_then(|on| interfaces.get(&on.value));
    let most = configured
        .map_or_else(Intervals::default, |it| it.intervals)
        .most();
    let most = u32::try_from(most.as_secs()).unwrap_or(u32::MAX);
    let lasting = (3 * most).min(LONGEST_ROUTER_LIFETIME);
    let header = header(&mut table, most, lasting, diagnostics);
    let is_aware_only = boolean(&mut table, "pvd_aware_only", false, diagnostics);
    let has_legacy = boolean(&mut table, "dhcpv4", false, diagnostics);
    let object = object(&mut table, folder, diagnostics);
    let options = options::options(&mut table, lasting, diagnostics);
    table.finish(diagnostics);

    let (header, options, id) = (header?, options?, id?);
    let audience = match is_aware_only? {
        true => Audience::PvdAware,
        false => Audience::Everybody,
    };
    let advertisement = advertisement(audience, header, options, id, has_legacy?);
    let domain = AdvertisedDomain {
        source: source?,
        advertisement,
        object: object?,
    };
    Some((on?.value, domain))
}

/// All of it in the PvD option for those who know that, or outside for everybody (RFC 8801 §5.2).
fn advertisement(
    audience: Audience,
    header: Header,
    options: Vec<NdOption>,
    id: Option<PvdId>,
    has_legacy: bool,
) -> RouterAdvertisement {
    let (outer, inner) = match audience {
        Audience::Everybody => ((header, options), (None, Vec::new())),
        Audience::PvdAware => ((Header::default(), Vec::new()), (Some(header), options)),
    };
    RouterAdvertisement {
        outer: outer.0,
        outer_options: outer.1,
        pvd: id.map(|id| PvdOption {
            id,
            additional_information: None,
            has_legacy,
            header: inner.0,
            options: inner.1,
        }),
    }
}

/// Notes what only a PvD with an id can have.
fn note_without_id(table: &Table<'_>, diagnostics: &mut Diagnostics<'_>) {
    if ["pvd_aware_only", "dhcpv4", "object", "signed"]
        .iter()
        .any(|key| table.has(key))
    {
        let (key, example) = ("id", "\"fixed.example\"");
        diagnostics.note(table.place(), ProblemKind::MissingKey { key, example });
    }
}

fn header(
    table: &mut Table<'_>,
    most: u32,
    lasting: u32,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Header> {
    let router_lifetime = match table.take("router_lifetime") {
        Some(value) => {
            let bounds = i64::from(most)..=i64::from(LONGEST_ROUTER_LIFETIME);
            let wanted = || {
                format!("0 for no default router, or {most} to {LONGEST_ROUTER_LIFETIME}{SECONDS}")
            };
            let accept = |seconds| seconds == 0 || bounds.contains(&seconds);
            value.integer(accept, wanted, diagnostics)
        }
        None => Some(lasting.into()),
    };
    let preference = options::preference(table, diagnostics);
    let hop_limit = number(table, "hop_limit", 0..=255, HOP_LIMIT, "", diagnostics);
    let is_managed = boolean(table, "managed", false, diagnostics);
    let has_other_configuration = boolean(table, "other", false, diagnostics);
    Some(Header {
        hop_limit: u8::try_from(hop_limit?).ok()?,
        is_managed: is_managed?,
        has_other_configuration: has_other_configuration?,
        preference: preference?,
        router_lifetime: u16::try_from(router_lifetime?).ok()?,
        reachable_time: 0,
        retrans_timer: 0,
    })
}

/// `None` inside without one.
fn object(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Option<AdvertisedObject>> {
    if ["delay", "signed"].iter().any(|key| table.has(key)) && !table.has("object") {
        let (key, example) = ("object", "\"fixed.json\"");
        diagnostics.note(table.place(), ProblemKind::MissingKey { key, example });
    }
    let delay = number(table, "delay", 0..=15, 0, "", diagnostics);
    let delay = delay.and_then(|delay| Delay::new(u8::try_from(delay).ok()?));
    let signed = match table.take("signed") {
        Some(value) => readable(value, folder, diagnostics).map(Some),
        None => Some(None),
    };
    let Some(value) = table.take("object") else {
        return Some(None);
    };
    Some(Some(AdvertisedObject {
        file: readable(value, folder, diagnostics)?,
        signed: signed?,
        delay: delay?,
    }))
}

/// A file that can be read, if this is the machine that it is on.
fn readable(value: Value<'_>, folder: &Path, diagnostics: &mut Diagnostics<'_>) -> Option<PathBuf> {
    let wanted = "a file name, in quotes";
    let file = value.parse(wanted, diagnostics, |text| value::path(folder, text))?;
    if diagnostics.is_with_machine()
        && let Err(source) = std::fs::metadata(&file.value)
    {
        let kind = ProblemKind::FileUnreadable {
            file: file.value.clone(),
            source,
        };
        diagnostics.note(&file.place, kind);
    }
    Some(file.value)
}

fn interface(
    value: Value<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Located<InterfaceName>> {
    let wanted = "an interface name in quotes, like \"eth0\"";
    let name = value.parse(wanted, diagnostics, value::interface)?;
    note_missing_interface(&name, diagnostics);
    Some(name)
}

fn link_local(text: &str) -> Result<Ipv6Addr, ProblemKind> {
    let address: Option<Ipv6Addr> = text.parse().ok();
    address
        .filter(Ipv6Addr::is_unicast_link_local)
        .ok_or_else(|| ProblemKind::NotLinkLocal {
            text: text.to_owned(),
        })
}

fn boolean(
    table: &mut Table<'_>,
    key: &'static str,
    default: bool,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<bool> {
    match table.take(key) {
        Some(value) => value.boolean(diagnostics),
        None => Some(default),
    }
}

fn number(
    table: &mut Table<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u32>,
    default: u32,
    unit: &str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<u32> {
    match table.take(key) {
        Some(value) => value.number(range, unit, diagnostics),
        None => Some(default),
    }
}
