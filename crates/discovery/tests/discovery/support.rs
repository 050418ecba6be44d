//! What servers of the tests say.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use discovery::dhcp::LinkAddress;
use discovery::dns::naptr::Naptr;
use discovery::dns::srv::Srv;
use discovery::dns::{Answer, Failure, Query, Record, RecordKind};

pub(crate) fn client() -> LinkAddress {
    LinkAddress {
        hardware: 1,
        octets: vec![2, 0, 0, 0, 0, 1],
    }
}

pub(crate) const DUID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 1];

/// A name as DHCP carries it.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

pub(crate) fn octets(addresses: &[&str]) -> Vec<u8> {
    let octets = |address: &&str| match address.parse().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    addresses.iter().flat_map(octets).collect()
}

/// A Reply to `transaction` with these options behind those that every Reply has.
pub(crate) fn reply(transaction: [u8; 3], options: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut message = vec![7];
    message.extend(transaction);
    let usual = [(1, DUID.to_vec()), (2, b"\0\x03\0\x01server".to_vec())];
    for (code, value) in usual.iter().chain(options) {
        message.extend(code.to_be_bytes());
        message.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        message.extend(value);
    }
    message
}

/// A DHCPACK to `transaction` with these options behind those that every DHCPACK has.
pub(crate) fn acknowledgement(transaction: [u8; 4], options: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0];
    message.extend(transaction);
    message.extend([0; 20]);
    message.extend(client().octets);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    let usual = [(53, vec![5]), (54, vec![192, 0, 2, 1])];
    for (code, value) in usual.iter().chain(options) {
        message.extend([*code, u8::try_from(value.len()).unwrap()]);
        message.extend(value);
    }
    message.push(255);
    message
}

/// The zones of a network.
#[derive(Default)]
pub(crate) struct Zones {
    records: BTreeMap<Query, Vec<Record>>,
    pub(crate) ttl: Duration,
}

impl Zones {
    pub(crate) fn new(ttl: u64) -> Self {
        Self {
            ttl: Duration::from_secs(ttl),
            ..Self::default()
        }
    }

    fn push(&mut self, name: &str, kind: RecordKind, record: Record) {
        let name = name.parse().unwrap();
        let query = Query { name, kind };
        self.records.entry(query).or_default().push(record);
    }

    /// `example.net 100 10 "s" DOTS:signal.udp _dots-signal._udp.example.net`
    pub(crate) fn naptr(&mut self, line: &str) -> &mut Self {
        let words: Vec<_> = line.split(' ').collect();
        let ranks = (words[1].parse().unwrap(), words[2].parse().unwrap());
        let flags = words[3].trim_matches('"').as_bytes();
        let replacement = words[5].parse().unwrap();
        let record = Naptr::new(ranks, flags, words[4].as_bytes(), b"", replacement);
        self.push(words[0], RecordKind::Naptr, Record::Naptr(record.unwrap()));
        self
    }

    /// `_dots-signal._udp.example.net 0 0 5000 a.example.net`
    pub(crate) fn srv(&mut self, line: &str) -> &mut Self {
        let words: Vec<_> = line.split(' ').collect();
        let record = Srv {
            priority: words[1].parse().unwrap(),
            weight: words[2].parse().unwrap(),
            port: words[3].parse().unwrap(),
            target: words[4].parse().ok(),
        };
        self.push(words[0], RecordKind::Srv, Record::Srv(record));
        self
    }

    pub(crate) fn ptr(&mut self, name: &str, instance: &str) -> &mut Self {
        let instance = Record::Ptr(instance.parse().unwrap());
        self.push(name, RecordKind::Ptr, instance);
        self
    }

    pub(crate) fn address(&mut self, name: &str, address: &str) -> &mut Self {
        let address = address.parse().unwrap();
        let kind = match address {
            IpAddr::V4(_) => RecordKind::A,
            IpAddr::V6(_) => RecordKind::Aaaa,
        };
        self.push(name, kind, Record::Address(address));
        self
    }

    pub(crate) fn answer(&self, query: &Query) -> Result<Answer, Failure> {
        match self.records.get(query) {
            Some(records) => Ok(Answer {
                records: records.clone(),
                ttl: self.ttl,
            }),
            None => Err(Failure::NoRecords(Some(self.ttl))),
        }
    }
}
