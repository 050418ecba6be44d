//! The file of `moat pvd serve`: where it listens, and with what each PvD is served.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openssl::x509::X509;
use pvd::PvdId;

use super::credentials;
use super::error::Problem;
use super::listen;
use super::problem::ProblemKind;
use super::reader::{Diagnostics, Located, Table};
use super::{note_double_names, value, values};

/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// What `moat pvd serve` is started with.
#[derive(Debug)]
pub(crate) struct PvdServerConfig {
    /// Where it listens, at least one, no two alike.
    pub(crate) listen: Vec<SocketAddr>,
    /// What it serves, at least one, no two of the same id.
    pub(crate) pvds: Vec<ServedPvd>,
    /// What strangers may make it hold.
    pub(crate) limits: PvdServerLimits,
    /// What is wrong or questionable in the file and did not keep the server from starting: to be logged.
    pub(crate) warnings: Vec<Problem>,
}

/// A PvD, and the files that it is served with; all are read again when they change.
#[derive(Debug, Clone)]
pub(crate) struct ServedPvd {
    /// Its id, which is the name of its host.
    pub(crate) id: PvdId,
    /// The certificate for the id, then any intermediate ones: PEM.
    pub(crate) certificate: PathBuf,
    /// The key of the first certificate: PEM.
    pub(crate) private_key: PathBuf,
    /// The object: JSON (RFC 8801 §4.3).
    pub(crate) object: PathBuf,
    /// The same, signed: a compact JWS (RFC 7515 §7.1).
    pub(crate) signed: Option<PathBuf>,
}

/// `[limits]` of that file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PvdServerLimits {
    /// Connections at a time. One more ends the oldest.
    pub(crate) connections: usize,
    /// Of these, connections of one source: an IPv4 address or an IPv6 prefix of 64 bits.
    pub(crate) connections_per_source: usize,
    /// How long a handshake may take.
    pub(crate) handshake: Duration,
    /// How long a request may take after that, with its answer.
    pub(crate) request: Duration,
}

impl Default for PvdServerLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_source: 256,
            handshake: Duration::from_secs(10),
            request: Duration::from_secs(20),
        }
    }
}

pub(super) fn read(
    mut table: Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<PvdServerConfig> {
    let examples = [
        "a list, like [\"[::]:443\"]",
        "address, like \"[::]:443\"",
        "an address in quotes, like \"[::]:443\"",
    ];
    let listen = listen::read(&mut table, HTTPS_PORT, examples, diagnostics);
    let limits = read_limits(&mut table, diagnostics);
    let pvds = read_pvds(&mut table, folder, diagnostics);
    table.finish(diagnostics);
    Some(PvdServerConfig {
        listen: values(listen),
        pvds: pvds?,
        limits: limits?,
        warnings: Vec::new(),
    })
}

fn read_limits(
    table: &mut Table<'_>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<PvdServerLimits> {
    let mut limits = PvdServerLimits::default();
    let Some(value) = table.take("limits") else {
        return Some(limits);
    };
    let mut table = value.table("a table: [limits]", diagnostics)?;
    for (key, count) in [
        ("connections", &mut limits.connections),
        ("connections_per_source", &mut limits.connections_per_source),
    ] {
        if let Some(value) = table.take(key) {
            let number = value.number(1..=100_000, "", diagnostics)?;
            *count = usize::try_from(number).ok()?;
        }
    }
    for (key, time) in [
        ("handshake_seconds", &mut limits.handshake),
        ("request_seconds", &mut limits.request),
    ] {
        if let Some(value) = table.take(key) {
            let seconds = value.number(1..=300, " seconds", diagnostics)?;
            *time = Duration::from_secs(seconds.into());
        }
    }
    table.finish(diagnostics);
    Some(limits)
}

fn read_pvds(
    table: &mut Table<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Vec<ServedPvd>> {
    let Some(list) = table.take("pvd") else {
        let advice = "add one for each PvD that is served";
        let table_name = "pvd";
        diagnostics.note(
            table.place(),
            ProblemKind::MissingTable {
                table: table_name,
                advice,
            },
        );
        return None;
    };
    let list = list.filled_list(
        "a table for each PvD: [[pvd]]",
        "[[pvd]] instead",
        diagnostics,
    );
    let (mut ids, mut pvds) = (Vec::new(), Vec::new());
    for value in list {
        let mut table = value.table("a table: [[pvd]]", diagnostics)?;
        let id = table.require("id", "\"fixed.example\"", diagnostics);
        let wanted = "a domain name in quotes, like \"fixed.example\"";
        let id = id.and_then(|value| value.parse(wanted, diagnostics, value::pvd_id));
        ids.extend(id.clone());
        pvds.push(read_pvd(table, id, folder, diagnostics));
    }
    note_double_names(&ids, diagnostics);
    pvds.into_iter().collect()
}

fn read_pvd(
    mut table: Table<'_>,
    id: Option<Located<PvdId>>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<ServedPvd> {
    let own = credentials::server_certificate(&mut table, folder, diagnostics);
    let object = match table.require("object", "\"fixed.example.json\"", diagnostics) {
        Some(value) => read_path(value, folder, diagnostics),
        None => None,
    };
    let signed = match table.take("signed") {
        Some(value) => read_path(value, folder, diagnostics).map(Some),
        None => Some(None),
    };
    let place = table.place().clone();
    table.finish(diagnostics);
    let (id, (certificate, private_key)) = (id?.value, own?);
    if !is_for(&certificate.pem, &id) {
        let file = certificate.path.clone();
        let id = id.clone();
        diagnostics.note(&place, ProblemKind::NotForPvd { file, id });
    }
    Some(ServedPvd {
        id,
        certificate: certificate.path,
        private_key: private_key.path,
        object: object?,
        signed: signed?,
    })
}

fn read_path(
    value: super::reader::Value<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<PathBuf> {
    let path = value.parse("the name of a file, in quotes", diagnostics, |text| {
        value::path(folder, text)
    });
    path.map(|path| path.value)
}

/// Whether a certificate has a DNS-ID that is equal to the id (RFC 8801 §4.1).
fn is_for(pem: &[u8], id: &PvdId) -> bool {
    let names = X509::from_pem(pem)
        .ok()
        .and_then(|certificate| certificate.subject_alt_names());
    names.is_some_and(|names| {
        let mut names = names.iter().filter_map(|name| name.dnsname());
        names.any(|name| name.parse().is_ok_and(|name: PvdId| name == *id))
    })
}
