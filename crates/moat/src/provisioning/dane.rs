//! The keys that the DNS has for a PvD: TLSA records at `_443._tcp.ID`, validated by DNSSEC (RFC 6698, RFC 7671).
//!
//! ```text
//! records, every one proved --> these, and no others
//! proved that there is none, or that the zone is not signed --> as without
//! anything else --> nobody knows, and no signature is believed: who is asked could have cut the records out
//! ```
//! Whom to ask is up to the caller; who answers is not believed, but the signatures of what he says.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use jose::{Anchors, TlsaRecord};
use pvd::PvdId;
use tokio::time::timeout;

use crate::resolver::{Assurance, Error, Resolver};

/// How long it may take to get the records with all that proves them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the DNS is asked for keys.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DaneArgs {
    /// Believe the keys that DNSSEC has for a PvD (TLSA of _443._tcp.ID), and no others where it has some
    #[arg(long)]
    pub(crate) dane: bool,
    /// DNSKEY records that DNSSEC has to lead to, instead of those of the root
    #[arg(long, value_name = "FILE", requires = "dane")]
    pub(crate) dnssec_anchors: Option<PathBuf>,
}

impl DaneArgs {
    /// How answers are validated; nothing, if the DNS is not to be asked.
    ///
    /// # Errors
    /// [`Error`], for a file that is not what it should be.
    pub(crate) fn assurance(&self) -> Result<Option<Assurance>, Error> {
        let file = self.dnssec_anchors.as_deref();
        self.dane.then(|| Assurance::validating(file)).transpose()
    }
}

/// It cannot be said which keys the DNS has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DNSSEC does not say which keys {pvd} has: {why}")]
pub(crate) struct Unknown {
    pvd: PvdId,
    why: String,
}

impl Unknown {
    /// Nobody could be asked.
    pub(crate) fn unasked(pvd: &PvdId, why: &impl ToString) -> Self {
        Self {
            pvd: pvd.clone(),
            why: why.to_string(),
        }
    }
}

/// The anchors, with the keys that the DNS has for a PvD. Where a key is pinned for it nobody is asked.
///
/// # Errors
/// [`Unknown`]
pub(crate) async fn extended(
    anchors: &Anchors,
    pvd: &PvdId,
    resolver: Result<Resolver, Error>,
) -> Result<Anchors, Unknown> {
    let mut anchors = anchors.clone();
    if anchors.pinned.contains_key(pvd) {
        return Ok(anchors);
    }
    let unknown = |why: String| Unknown {
        pvd: pvd.clone(),
        why,
    };
    let resolver = resolver.map_err(|error| unknown(error.to_string()))?;
    let asking = timeout(PATIENCE, records(&resolver, pvd)).await;
    let records = asking.map_err(|_| unknown("nobody answered in time".to_owned()))?;
    anchors.dane.insert(pvd.clone(), records.map_err(unknown)?);
    Ok(anchors)
}

async fn records(resolver: &Resolver, pvd: &PvdId) -> Result<Vec<TlsaRecord>, String> {
    let mut name =
        Name::from_ascii(format!("_443._tcp.{pvd}")).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    let found = match resolver.lookup(name.clone(), RecordType::TLSA).await {
        Ok(found) => found,
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            let authorities = none.authorities.as_deref().unwrap_or_default();
            return match is_proved_of(&name, authorities) {
                true => Ok(Vec::new()),
                false => Err("that there are none is not proved".to_owned()),
            };
        }
        Err(error) => return Err(error.to_string()),
    };
    // A part of them may have been put there by somebody else, also the alias that leads to them.
    let answers = found.answers().iter();
    let answers = answers.filter(|record| !record.record_type().is_rrsig());
    match answers.clone().map(|record| record.proof).min() {
        Some(Proof::Secure) => Ok(answers.filter_map(record).collect()),
        None | Some(Proof::Insecure) => Ok(Vec::new()),
        Some(Proof::Bogus | Proof::Indeterminate) => Err("its records are not proved".to_owned()),
    }
}

/// Whether what comes with a denial is about the name: records that are signed, or the start of a zone around it that is proved to be
/// unsigned. The library takes a denial for good whatever unsigned zone of the world it names; without any it has looked for
/// the signatures of the name itself.
fn is_proved_of(name: &Name, authorities: &[Record]) -> bool {
    let is_secure = |record: &Record| {
        let kinds = [RecordType::NSEC, RecordType::NSEC3];
        record.proof == Proof::Secure && kinds.contains(&record.record_type())
    };
    let is_around = |record: &Record| {
        record.record_type() != RecordType::SOA
            || (record.proof == Proof::Insecure && record.name.zone_of(name))
    };
    let has_start = authorities
        .iter()
        .any(|it| it.record_type() == RecordType::SOA);
    authorities.is_empty()
        || authorities.iter().any(is_secure)
        || (has_start && authorities.iter().all(is_around))
}

fn record(record: &Record) -> Option<TlsaRecord> {
    let RData::TLSA(tlsa) = &record.data else {
        return None;
    };
    Some(TlsaRecord {
        usage: tlsa.cert_usage.into(),
        selector: tlsa.selector.into(),
        matching: tlsa.matching.into(),
        data: tlsa.cert_data.clone(),
    })
}
