//! DHCPv6 Information-request and Reply (RFC 8415 §18.2.6, §18.2.10.4), with the DOTS options (RFC 8973 §5.1).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::{
    DEFAULT_REFRESH, Ignored, Information, LinkAddress, MOST_DOMAINS, MOST_RESOLVERS,
    SHORTEST_REFRESH,
};
use crate::peer::{self, PeerAgent};
use pvd::{DomainName, HostName};

/// The port that clients are answered on.
pub const CLIENT_PORT: u16 = 546;
/// The port of servers and relay agents.
pub const SERVER_PORT: u16 = 547;
/// All_DHCP_Relay_Agents_and_Servers (RFC 8415 §7.1).
pub const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

const REPLY: u8 = 7;
const INFORMATION_REQUEST: u8 = 11;

const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const OPTION_REQUEST: u16 = 6;
const ELAPSED_TIME: u16 = 8;
const DNS_SERVERS: u16 = 23;
const DOMAIN_LIST: u16 = 24;
const INFORMATION_REFRESH_TIME: u16 = 32;
const INF_MAX_RT: u16 = 83;
const DOTS_RI: u16 = 141;
const DOTS_ADDRESS: u16 = 142;

/// What is asked for (RFC 8415 §21.7).
const REQUESTED: [u16; 6] = [
    DNS_SERVERS,
    DOMAIN_LIST,
    INFORMATION_REFRESH_TIME,
    INF_MAX_RT,
    DOTS_RI,
    DOTS_ADDRESS,
];

/// A DUID made of a link-layer address (RFC 8415 §11.4).
const DUID_LL: u16 = 3;
/// The value that means for ever (RFC 8415 §7.7).
const INFINITY: u32 = u32::MAX;

/// Twenty-four bits that connect a Reply with its request (RFC 8415 §16.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionId(pub [u8; 3]);

/// A Reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub information: Information,
    /// The longest wait between requests from now on, if the server sets one (RFC 8415 §21.25).
    pub longest_wait: Option<Duration>,
}

/// An Information-request, `elapsed` after the first of its transaction.
pub fn information_request(
    transaction: TransactionId,
    client: &LinkAddress,
    elapsed: Duration,
) -> Vec<u8> {
    let mut message = vec![INFORMATION_REQUEST];
    message.extend(transaction.0);
    if let Some(duid) = duid(client) {
        push(&mut message, CLIENT_ID, &duid);
    }
    let requested: Vec<u8> = REQUESTED.into_iter().flat_map(u16::to_be_bytes).collect();
    push(&mut message, OPTION_REQUEST, &requested);
    let hundredths = u16::try_from(elapsed.as_millis() / 10).unwrap_or(u16::MAX);
    push(&mut message, ELAPSED_TIME, &hundredths.to_be_bytes());
    message
}

/// Reads the Reply to such a request.
///
/// # Errors
/// [`Ignored`], for everything that is not one (RFC 8415 §16.10).
pub fn reply(
    datagram: &[u8],
    transaction: TransactionId,
    client: &LinkAddress,
) -> Result<Reply, Ignored> {
    let (&kind, rest) = datagram.split_first().ok_or(Ignored::Truncated)?;
    if kind != REPLY {
        return Err(Ignored::Kind);
    }
    let (answered, options) = rest.split_first_chunk().ok_or(Ignored::Truncated)?;
    if TransactionId(*answered) != transaction {
        return Err(Ignored::Transaction);
    }
    let options = Options::read(options)?;
    options
        .first(SERVER_ID)
        .filter(|duid| !duid.is_empty())
        .ok_or(Ignored::Server)?;
    if options.first(CLIENT_ID) != duid(client).as_deref() {
        return Err(Ignored::Client);
    }
    Ok(Reply {
        information: Information {
            peer: peer(&options),
            resolvers: resolvers(&options),
            domains: domains(&options),
            search: domains(&options),
            refresh: refresh(options.number(INFORMATION_REFRESH_TIME)),
        },
        // Others are to be ignored (RFC 8415 §21.25).
        longest_wait: options
            .number(INF_MAX_RT)
            .filter(|seconds| (60..=86_400).contains(seconds))
            .map(|seconds| Duration::from_secs(seconds.into())),
    })
}

/// `None` on a link without addresses: such a client stays anonymous, as it may (RFC 8415 §18.2.6).
fn duid(client: &LinkAddress) -> Option<Vec<u8>> {
    if client.octets.is_empty() {
        return None;
    }
    let mut duid = DUID_LL.to_be_bytes().to_vec();
    duid.extend(u16::from(client.hardware).to_be_bytes());
    duid.extend(&client.octets);
    Some(duid)
}

fn push(message: &mut Vec<u8>, code: u16, value: &[u8]) {
    // Everything here is far shorter than an option can be.
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    message.extend(code.to_be_bytes());
    message.extend(length.to_be_bytes());
    message.extend(value);
}

/// Only the first name of the first option counts (RFC 8973 §5.1.3).
fn peer(options: &Options<'_>) -> Option<PeerAgent> {
    let name = options.first(DOTS_RI).and_then(first_name);
    let addresses = options.first(DOTS_ADDRESS).map(addresses);
    PeerAgent::new(
        name,
        peer::usable_ipv6(addresses.unwrap_or_default().into_iter()),
    )
}

/// The first of the names in an option of RFC 8973, if a certificate can be for it.
pub(super) fn first_name(option: &[u8]) -> Option<HostName> {
    let (name, _others) = DomainName::read(option).ok()?;
    HostName::try_from(name).ok()
}

/// Nothing if the length is no multiple of 16: where such an option goes wrong nobody knows.
fn addresses(option: &[u8]) -> Vec<Ipv6Addr> {
    match option.as_chunks::<16>() {
        (addresses, []) => addresses.iter().copied().map(Ipv6Addr::from).collect(),
        _ => Vec::new(),
    }
}

fn resolvers(options: &Options<'_>) -> Vec<IpAddr> {
    let addresses = options.first(DNS_SERVERS).map(addresses);
    let usable = addresses.unwrap_or_default().into_iter().map(IpAddr::V6);
    usable
        .filter(|address| !address.is_multicast() && !address.is_unspecified())
        .take(MOST_RESOLVERS)
        .collect()
}

fn domains(options: &Options<'_>) -> Vec<DomainName> {
    let mut rest = options.first(DOMAIN_LIST).unwrap_or_default();
    let mut domains = Vec::new();
    while let Ok((domain, behind)) = DomainName::read(rest) {
        if domains.len() < MOST_DOMAINS {
            domains.push(domain);
        }
        rest = behind;
    }
    domains
}

fn refresh(seconds: Option<u32>) -> Option<Duration> {
    match seconds {
        Some(INFINITY) => None,
        Some(seconds) => Some(Duration::from_secs(seconds.into()).max(SHORTEST_REFRESH)),
        None => Some(DEFAULT_REFRESH),
    }
}

/// The options of a message, in its order.
struct Options<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Options<'a> {
    fn read(mut rest: &'a [u8]) -> Result<Self, Ignored> {
        let mut options = Vec::new();
        while !rest.is_empty() {
            let (code, behind) = rest.split_first_chunk().ok_or(Ignored::Truncated)?;
            let (length, behind) = behind.split_first_chunk().ok_or(Ignored::Truncated)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (value, behind) = behind.split_at_checked(length).ok_or(Ignored::Truncated)?;
            options.push((u16::from_be_bytes(*code), value));
            rest = behind;
        }
        Ok(Self(options))
    }

    fn first(&self, code: u16) -> Option<&'a [u8]> {
        let mut options = self.0.iter();
        let (_, value) = options.find(|(other, _)| *other == code)?;
        Some(value)
    }

    fn number(&self, code: u16) -> Option<u32> {
        let value = self.first(code)?.try_into().ok()?;
        Some(u32::from_be_bytes(value))
    }
}
