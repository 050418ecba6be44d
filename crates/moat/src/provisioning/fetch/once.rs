//! `moat pvd fetch`: what a host of a network would get, once, to be looked at.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::SystemTime;

use clap::Args;
use pvd::information::{AdditionalInformation, Refused};
use pvd::source_address::{Kind, Stage};
use pvd::{InterfaceName, OwnAddress, PvdId};
use serde::Serialize;

use super::{Environment, Fetched, Place, TrustArgs, TrustError, fetch};
use crate::discovery::Attachment;
use crate::provisioning::dane::DaneArgs;

/// What is fetched, and from where.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The PvD
    #[arg(value_name = "ID")]
    pub(crate) pvd: PvdId,
    /// Interface of the network
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) interface: InterfaceName,
    /// Resolver of the network; nobody else is asked for names
    #[arg(long = "dns", value_name = "ADDRESS", required = true)]
    pub(crate) resolvers: Vec<IpAddr>,
    /// Own address to come from, instead of those of the interface
    #[arg(long = "source", value_name = "ADDRESS")]
    pub(crate) sources: Vec<IpAddr>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) dane: DaneArgs,
    /// Rather have it signed
    #[arg(long)]
    pub(crate) signed: bool,
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OnceError {
    /// The interface is not there.
    #[error("there is no interface {0}")]
    NoInterface(InterfaceName),
    /// Whom to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It was not fetched.
    #[error(transparent)]
    Fetch(#[from] super::Error),
    /// It is not what hosts use.
    #[error("{from} gives what is no PvD Additional Information: {why}")]
    Refused {
        /// Where it was.
        from: String,
        /// What is wrong.
        why: Refused,
    },
    /// It is somebody else's.
    #[error("{from} gives the object of {other}")]
    OtherPvd {
        /// Where it was.
        from: String,
        /// Whose it is.
        other: PvdId,
    },
    /// The system refused something.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// What was fetched.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The PvD.
    pub(crate) pvd: String,
    /// Where it was in the end.
    pub(crate) from: String,
    /// What the way it came by proves of it.
    pub(crate) proved_by: String,
    /// Why its signature proves nothing, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forged: Option<String>,
    /// The compact JWS that it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signed: Option<String>,
    /// What in it counts for nothing.
    pub(crate) ignored: Vec<String>,
    /// The object.
    pub(crate) object: serde_json::Value,
}

/// Fetches, from the addresses of the interface if none are named.
///
/// # Errors
/// [`OnceError`]
pub(crate) fn fetch_once(args: &FetchArgs) -> Result<Report, OnceError> {
    let environment = Environment::new(&args.trust, &args.dane, args.signed)?;
    let place = Place {
        interface: args.interface.clone(),
        resolvers: args.resolvers.clone(),
        sources: sources(args)?,
        next_hops: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let fetched = runtime.block_on(fetch(&args.pvd, &place, &environment))?;
    report(&args.pvd, fetched)
}

fn sources(args: &FetchArgs) -> Result<Vec<IpAddr>, OnceError> {
    let interface = &args.interface;
    let attachment = Attachment::of(interface)?;
    let attachment = attachment.ok_or_else(|| OnceError::NoInterface(interface.clone()))?;
    match args.sources.is_empty() {
        true => Ok(in_order(attachment.addresses)),
        false => Ok(args.sources.clone()),
    }
}

/// Those that may be used from anywhere: temporary ones first, which say the least of this node (RFC 8801 §4.1), deprecated ones last.
pub(crate) fn in_order(mut addresses: Vec<OwnAddress>) -> Vec<IpAddr> {
    addresses.retain(|own| match own.address {
        IpAddr::V6(address) => !address.is_unicast_link_local(),
        IpAddr::V4(_) => true,
    });
    addresses.sort_by_key(|own| (own.stage == Stage::Deprecated, own.kind == Kind::Public));
    addresses.into_iter().map(|own| own.address).collect()
}

fn report(pvd: &PvdId, fetched: Fetched) -> Result<Report, OnceError> {
    let from = fetched.from;
    let read = match AdditionalInformation::read(&fetched.object, SystemTime::now()) {
        Ok(read) => read,
        Err(why) => return Err(OnceError::Refused { from, why }),
    };
    let other = read.information.identifier;
    if other != *pvd {
        return Err(OnceError::OtherPvd { from, other });
    }
    Ok(Report {
        pvd: pvd.to_string(),
        from,
        proved_by: fetched.data.to_string(),
        forged: fetched.forged.map(|forged| forged.to_string()),
        signed: fetched.signed,
        ignored: read.ignored,
        object: serde_json::from_slice(&fetched.object).map_err(io::Error::from)?,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}, proved by {}", self.from, self.proved_by)?;
        if let Some(why) = &self.forged {
            writeln!(formatter, "its signature proves nothing: {why}")?;
        }
        for ignored in &self.ignored {
            writeln!(formatter, "ignored: {ignored}")?;
        }
        write!(formatter, "{:#}", self.object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: P-019
    #[test]
    fn a_temporary_address_comes_first() {
        let own = |last: u16, stage, kind| OwnAddress {
            address: IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]),
            prefix_length: 64,
            stage,
            kind,
        };
        let link_local: IpAddr = "fe80::1".parse().unwrap();
        let addresses = vec![
            link_local.into(),
            own(1, Stage::Preferred, Kind::Public),
            own(2, Stage::Deprecated, Kind::Temporary),
            own(3, Stage::Preferred, Kind::Temporary),
        ];
        let order: Vec<String> = in_order(addresses).iter().map(IpAddr::to_string).collect();
        assert_eq!(order, ["2001:db8::3", "2001:db8::1", "2001:db8::2"]);
    }
}
