//! PvD Additional Information: what a network says of itself beyond an advertisement (RFC 8801 §4.3).
//!
//! The object is the same whoever carries it: an HTTPS server, a signature, a file. Its keys are those of [`registry`].
//!
//! What an object without its mandatory keys says does not count (RFC 8801 §4.3), and neither does one that readers of JSON could
//! understand differently ([`NotIJson`]). The validity of the whole hangs on nothing else: of the optional keys the
//! smallest part that is wrong is left out and told in [`Read::ignored`], because a network that misspells one thing is
//! still where it is. Parts that narrow something go with what they narrow.

pub mod credentials;
mod extension;
mod fields;
pub mod json;
mod proxy;
pub mod registry;
mod split_dns;
#[cfg(test)]
mod tests;
mod writer;

use std::time::SystemTime;

use ipnet::Ipv6Net;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::identifier::PvdId;
use crate::name::DomainName;

pub use extension::{
    DOTS_PORT, DotsServerEntry, Extension, Gateway, NotSealed, Sealed, VpnConnection,
};
pub use fields::{MAX_IGNORED, Unreadable};
pub use json::{MAX_DEPTH, NotIJson};
pub use proxy::{DomainPattern, Malformed, Ports, Proxy, ProxyMatch, ProxyProtocol};
pub use split_dns::{ClaimedName, SplitDnsClaim};

use fields::{Fields, Ignored, boolean, list, text, written};
use json::Json;
use registry::{Dictionary, MOAT};

/// Longest object that is read, in octets.
pub const MAX_OBJECT_BYTES: usize = 64 * 1024;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdditionalInformation {
    /// The PvD that it is about. Whoever asked for another one's must not use it.
    pub identifier: PvdId,
    /// When it ends. Clocks are wrong: nothing that is about security hangs on it (RFC 8801 §6).
    pub expires: SystemTime,
    /// The prefixes of the PvD; empty for one that no router advertises, such as that of a proxy.
    pub prefixes: Vec<Ipv6Net>,
    /// Zones that are searched and reached in this PvD.
    pub dns_zones: Vec<DomainName>,
    /// Whether the internet is out of reach.
    pub no_internet: bool,
    /// For which names its resolvers claim to speak.
    pub split_dns_claims: Vec<SplitDnsClaim>,
    /// Its proxies.
    pub proxies: Vec<Proxy>,
    /// What goes through which of them.
    pub proxy_match: Vec<ProxyMatch>,
    /// Our own keys.
    pub moat: Extension,
}

/// An object, and what in it counted for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The object.
    pub information: AdditionalInformation,
    /// Unknown keys and unreadable optional ones, in words that may be shown; at most [`MAX_IGNORED`] and a last one
    /// that says how many more.
    pub ignored: Vec<String>,
}

/// Why an object is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Longer than [`MAX_OBJECT_BYTES`].
    #[error("it has {0} octets, and at most {MAX_OBJECT_BYTES} are read")]
    TooLarge(usize),
    /// RFC 8801 §4
    #[error(transparent)]
    NotIJson(#[from] NotIJson),
    /// A mandatory key is missing or invalid (RFC 8801 §4.3).
    #[error(transparent)]
    Mandatory(#[from] Unreadable),
    /// It has ended (RFC 8801 §4.1).
    #[error("it has expired")]
    Expired,
}

impl AdditionalInformation {
    /// Reads an object as it is fetched, signed or kept in a file.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn read(text: &[u8], now: SystemTime) -> Result<Read, Refused> {
        if text.len() > MAX_OBJECT_BYTES {
            return Err(Refused::TooLarge(text.len()));
        }
        let root = Json::Object(json::read(text)?);
        let mut ignored = Ignored::default();
        let mut fields = Fields::open(Dictionary::Root, "", root, &mut ignored)?;

        let identifier = fields.mandatory("identifier", written("is no domain name"))?;
        let expires = fields.mandatory("expires", date)?;
        let prefixes = fields.mandatory("prefixes", list(prefix))?;

        let no_internet = ignored.unless(fields.optional("noInternet", boolean));
        let zone = |value, place: &str, _: &mut Ignored| written("is no domain name")(value, place);
        let rule = |value, place: &str, _: &mut Ignored| proxy::rule(value, place);
        let moat = fields.optional(MOAT, |value, place| {
            extension::extension(value, place, &mut ignored)
        });
        let information = Self {
            identifier,
            expires,
            prefixes,
            dns_zones: fields.each("dnsZones", &mut ignored, zone),
            no_internet: no_internet.flatten().unwrap_or_default(),
            split_dns_claims: fields.each("splitDnsClaims", &mut ignored, split_dns::claim),
            proxies: fields.each("proxies", &mut ignored, proxy::proxy),
            proxy_match: fields.each("proxy-match", &mut ignored, rule),
            moat: ignored.unless(moat).flatten().unwrap_or_default(),
        };
        if information.expires <= now {
            return Err(Refused::Expired);
        }
        Ok(Read {
            information,
            ignored: ignored.into_notes(),
        })
    }

    /// Whether a prefix that is advertised with the PvD is in one of its own. If not, nothing here may be used
    /// (RFC 8801 §4.1, §4.4).
    pub fn covers(&self, prefix: &Ipv6Net) -> bool {
        self.prefixes.iter().any(|own| own.contains(prefix))
    }
}

fn date(value: Json, place: &str) -> Result<SystemTime, Unreadable> {
    let fault = Unreadable::new(place, "is no date and time of RFC 3339");
    let date = OffsetDateTime::parse(&text(value, place)?, &Rfc3339).ok();
    // An offset may lead out of the years that can be written.
    date.filter(|date| date.unix_timestamp() <= writer::LAST_SECOND)
        .map(SystemTime::from)
        .ok_or(fault)
}

fn prefix(value: Json, place: &str) -> Result<Ipv6Net, Unreadable> {
    let fault = "is no IPv6 prefix, or has bits behind its length";
    let prefix: Ipv6Net = written(fault)(value, place)?;
    match prefix.addr() == prefix.network() {
        true => Ok(prefix),
        false => Err(Unreadable::new(place, fault)),
    }
}
