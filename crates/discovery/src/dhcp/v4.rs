//! DHCPINFORM and its DHCPACK (RFC 2131 §4.4.3), with the DOTS options (RFC 8973 §5.2).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::search_list;
use super::v6::first_name;
use super::{DEFAULT_REFRESH, Ignored, Information, LinkAddress, MOST_RESOLVERS};
use crate::peer::{self, PeerAgent};

/// The port that clients are answered on.
pub const CLIENT_PORT: u16 = 68;
/// The port of servers and relay agents.
pub const SERVER_PORT: u16 = 67;

const BOOT_REQUEST: u8 = 1;
const BOOT_REPLY: u8 = 2;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const SERVER_NAME_OCTETS: usize = 64;
const FILE_OCTETS: usize = 128;
const HARDWARE_OCTETS: usize = 16;
/// The shortest message that every BOOTP relay takes (RFC 1542 §2.1).
const SHORTEST_MESSAGE: usize = 300;
/// What is taken in one message, so that long lists of addresses arrive (RFC 2132 §9.10).
const LONGEST_MESSAGE: u16 = 1472;

const PAD: u8 = 0;
const DNS_SERVERS: u8 = 6;
const DOMAIN_NAME: u8 = 15;
const OVERLOAD: u8 = 52;
const MESSAGE_TYPE: u8 = 53;
const SERVER_IDENTIFIER: u8 = 54;
const PARAMETER_REQUEST: u8 = 55;
const MESSAGE_SIZE: u8 = 57;
const DOMAIN_SEARCH: u8 = 119;
const DOTS_RI: u8 = 147;
const DOTS_ADDRESS: u8 = 148;
const END: u8 = 255;

const ACK: u8 = 5;
const INFORM: u8 = 8;

/// A DHCPINFORM, `elapsed` after the first of its transaction, from the node that has `address`.
pub fn inform(
    transaction: u32,
    client: &LinkAddress,
    address: Ipv4Addr,
    elapsed: Duration,
) -> Vec<u8> {
    let hardware = client
        .octets
        .get(..HARDWARE_OCTETS)
        .unwrap_or(&client.octets);
    let length = u8::try_from(hardware.len()).unwrap_or_default();
    let mut message = vec![BOOT_REQUEST, client.hardware, length, 0];
    message.extend(transaction.to_be_bytes());
    let seconds = u16::try_from(elapsed.as_secs()).unwrap_or(u16::MAX);
    message.extend(seconds.to_be_bytes());
    message.extend([0; 2]);
    message.extend(address.octets());
    message.extend([0; 12]);
    message.extend(hardware);
    message.resize(28 + HARDWARE_OCTETS + SERVER_NAME_OCTETS + FILE_OCTETS, 0);
    message.extend(MAGIC);
    message.extend([MESSAGE_TYPE, 1, INFORM]);
    message.extend([MESSAGE_SIZE, 2]);
    message.extend(LONGEST_MESSAGE.to_be_bytes());
    message.extend([
        PARAMETER_REQUEST,
        5,
        DNS_SERVERS,
        DOMAIN_NAME,
        DOMAIN_SEARCH,
        DOTS_RI,
        DOTS_ADDRESS,
    ]);
    message.push(END);
    message.resize(message.len().max(SHORTEST_MESSAGE), PAD);
    message
}

/// Reads the DHCPACK to such a message.
///
/// # Errors
/// [`Ignored`], for everything that is not one.
pub fn acknowledgement(
    datagram: &[u8],
    transaction: u32,
    client: &LinkAddress,
) -> Result<Information, Ignored> {
    let header = Header::read(datagram).ok_or(Ignored::Truncated)?;
    if header.operation != BOOT_REPLY || header.magic != MAGIC {
        return Err(Ignored::Kind);
    }
    if header.transaction != transaction {
        return Err(Ignored::Transaction);
    }
    if !header.hardware.starts_with(&client.octets) {
        return Err(Ignored::Client);
    }
    let options = header.options()?;
    if options.value(MESSAGE_TYPE) != Some(&[ACK]) {
        return Err(Ignored::Kind);
    }
    if options
        .value(SERVER_IDENTIFIER)
        .is_none_or(|server| server.len() != 4)
    {
        return Err(Ignored::Server);
    }
    Ok(Information {
        peer: peer(&options),
        resolvers: addresses(options.value(DNS_SERVERS))
            .map(IpAddr::V4)
            .filter(|address| !address.is_multicast() && !address.is_unspecified())
            .take(MOST_RESOLVERS)
            .collect(),
        domains: domain(&options).into_iter().collect(),
        search: match search_list::read(options.value(DOMAIN_SEARCH).unwrap_or_default()) {
            search if search.is_empty() => domain(&options).into_iter().collect(),
            search => search,
        },
        refresh: Some(DEFAULT_REFRESH),
    })
}

/// Only the first name of the first option 147 counts; it needs no second one, since a name has at most 255 octets.
/// Option 148 is put together again (RFC 8973 §5.2.2).
fn peer(options: &Options) -> Option<PeerAgent> {
    let name = options
        .first
        .get(&DOTS_RI)
        .and_then(|option| first_name(option));
    let addresses = addresses(options.value(DOTS_ADDRESS));
    PeerAgent::new(name, peer::usable_ipv4(addresses))
}

/// Nothing if the length is no multiple of four.
fn addresses(option: Option<&[u8]>) -> impl Iterator<Item = Ipv4Addr> {
    let addresses = match option.unwrap_or_default().as_chunks::<4>() {
        (addresses, []) => addresses,
        _ => &[],
    };
    addresses.iter().copied().map(Ipv4Addr::from)
}

/// Some servers end the text with a zero, which does not belong there (RFC 2132 §2).
fn domain(options: &Options) -> Option<pvd::DomainName> {
    let text = str::from_utf8(options.value(DOMAIN_NAME)?).ok()?;
    text.trim_end_matches('\0').parse().ok()
}

/// The fixed part of a message.
struct Header<'a> {
    operation: u8,
    transaction: u32,
    hardware: &'a [u8; HARDWARE_OCTETS],
    server_name: &'a [u8; SERVER_NAME_OCTETS],
    file: &'a [u8; FILE_OCTETS],
    magic: [u8; 4],
    options: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(datagram: &'a [u8]) -> Option<Self> {
        let (&[operation, _, _, _], rest) = datagram.split_first_chunk()?;
        let (transaction, rest) = rest.split_first_chunk()?;
        let (_seconds_flags_addresses, rest) = rest.split_first_chunk::<20>()?;
        let (hardware, rest) = rest.split_first_chunk()?;
        let (server_name, rest) = rest.split_first_chunk()?;
        let (file, rest) = rest.split_first_chunk()?;
        let (magic, options) = rest.split_first_chunk()?;
        Some(Self {
            operation,
            transaction: u32::from_be_bytes(*transaction),
            hardware,
            server_name,
            file,
            magic: *magic,
            options,
        })
    }

    /// All options, in the order of RFC 3396 §5: those of the field, of `file`, of `sname`.
    fn options(&self) -> Result<Options, Ignored> {
        let mut options = Options::default();
        options.read(self.options)?;
        let (file, server_name) = match options.value(OVERLOAD) {
            Some([1]) => (true, false),
            Some([2]) => (false, true),
            Some([3]) => (true, true),
            _ => (false, false),
        };
        if file {
            options.read(self.file)?;
        }
        if server_name {
            options.read(self.server_name)?;
        }
        Ok(options)
    }
}

/// Options by code: put together as RFC 3396 §7 says, and the first piece of each.
#[derive(Default)]
struct Options {
    whole: BTreeMap<u8, Vec<u8>>,
    first: BTreeMap<u8, Vec<u8>>,
}

impl Options {
    /// A field may end without [`END`].
    fn read(&mut self, mut rest: &[u8]) -> Result<(), Ignored> {
        while let Some((&code, behind)) = rest.split_first() {
            if code == END {
                break;
            }
            if code == PAD {
                rest = behind;
                continue;
            }
            let (&length, behind) = behind.split_first().ok_or(Ignored::Truncated)?;
            let (value, behind) = behind
                .split_at_checked(length.into())
                .ok_or(Ignored::Truncated)?;
            self.whole.entry(code).or_default().extend(value);
            self.first.entry(code).or_insert_with(|| value.to_vec());
            rest = behind;
        }
        Ok(())
    }

    fn value(&self, code: u8) -> Option<&[u8]> {
        self.whole.get(&code).map(Vec::as_slice)
    }
}
