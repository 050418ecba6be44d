//! CoAP and CBOR as deployed agents write them.

/// Types of messages.
pub(super) const CON: u8 = 0;
pub(super) const NON: u8 = 1;
pub(super) const ACK: u8 = 2;

pub(super) const GET: u8 = 0x01;
pub(super) const PUT: u8 = 0x03;
pub(super) const DELETE: u8 = 0x04;

/// Numbers of options.
pub(super) const ETAG: u16 = 4;
pub(super) const OBSERVE: u16 = 6;
pub(super) const URI_PATH: u16 = 11;
pub(super) const CONTENT_FORMAT: u16 = 12;
pub(super) const MAX_AGE: u16 = 14;
pub(super) const HOP_LIMIT: u16 = 16;
pub(super) const SIZE2: u16 = 28;
pub(super) const Q_BLOCK2: u16 = 31;

/// `application/dots+cbor` and `text/plain`.
pub(super) const DOTS_CBOR: &[u8] = &[1, 15];
pub(super) const TEXT: &[u8] = &[];

/// A message; its options in the order of their numbers.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) id: u16,
    pub(super) token: Vec<u8>,
    pub(super) options: Vec<(u16, Vec<u8>)>,
    pub(super) payload: Vec<u8>,
}

impl Datagram {
    pub(super) fn new(kind: u8, code: u8, id: u16, token: &[u8]) -> Self {
        let (token, options, payload) = (token.to_vec(), Vec::new(), Vec::new());
        Self {
            kind,
            code,
            id,
            token,
            options,
            payload,
        }
    }

    pub(super) fn with(mut self, number: u16, value: &[u8]) -> Self {
        let at = self
            .options
            .partition_point(|(before, _)| *before <= number);
        self.options.insert(at, (number, value.to_vec()));
        self
    }

    pub(super) fn path(self, path: &str) -> Self {
        let segments = path.split('/');
        segments.fold(self, |datagram, segment| {
            datagram.with(URI_PATH, segment.as_bytes())
        })
    }

    pub(super) fn body(mut self, body: &[u8]) -> Self {
        self.payload = body.to_vec();
        self
    }

    /// RFC 7252 §3.
    pub(super) fn octets(&self) -> Vec<u8> {
        let [id_high, id_low] = self.id.to_be_bytes();
        let mut octets = vec![
            0x40 | self.kind << 4 | length(&self.token),
            self.code,
            id_high,
            id_low,
        ];
        octets.extend(&self.token);
        let mut previous = 0;
        for (number, value) in &self.options {
            let (delta, delta_more) = nibble(number - previous);
            let (size, size_more) = nibble(u16::try_from(value.len()).unwrap());
            octets.push(delta << 4 | size);
            octets.extend(delta_more.into_iter().chain(size_more));
            octets.extend(value);
            previous = *number;
        }
        if !self.payload.is_empty() {
            octets.push(0xff);
            octets.extend(&self.payload);
        }
        octets
    }
}

fn length(octets: &[u8]) -> u8 {
    u8::try_from(octets.len()).unwrap()
}

fn nibble(value: u16) -> (u8, Option<u8>) {
    match value {
        0..13 => (u8::try_from(value).unwrap(), None),
        _ => (13, Some(u8::try_from(value - 13).unwrap())),
    }
}

/// `{heartbeat: {peer-hb-status: true}}`
pub(super) const HEARTBEAT: &[u8] = &[0xa1, 0x18, 0x31, 0xa1, 0x18, 0x33, 0xf5];

/// A mitigation request of TCP at these ports of a prefix. Whether to trigger it is said in any case.
pub(super) fn mitigation(
    prefix: &str,
    ports: &[(u16, Option<u16>)],
    (lifetime, trigger): (u16, bool),
) -> Vec<u8> {
    let mut body = b"\xa1\x01\xa1\x02\x81\xa5\x06\x81".to_vec();
    body.push(0x60 | length(prefix.as_bytes()));
    body.extend(prefix.bytes());
    body.extend([0x07, 0x80 | u8::try_from(ports.len()).unwrap()]);
    for (lower, upper) in ports {
        body.push(if upper.is_some() { 0xa2 } else { 0xa1 });
        for (key, port) in [(0x08, Some(lower)), (0x09, upper.as_ref())] {
            if let Some([high, low]) = port.map(|port| port.to_be_bytes()) {
                body.extend([key, 0x19, high, low]);
            }
        }
    }
    body.extend(b"\x0a\x81\x06\x0e\x19");
    body.extend(lifetime.to_be_bytes());
    body.extend([0x18, 0x2d, if trigger { 0xf5 } else { 0xf4 }]);
    body
}

/// Both sets of a configuration request: heartbeats every 30 s, 15 may be missed, 3 copies, 2.0 s and 1.5 as
/// decimal fractions of one digit, and no rate in the map of the probing rate.
pub(super) fn configuration() -> Vec<u8> {
    let set: &[u8] = &[
        0xa6, 0x18, 33, 0xa1, 0x18, 36, 0x18, 30, 0x18, 37, 0xa1, 0x18, 36, 15, 0x18, 38, 0xa1,
        0x18, 36, 3, 0x18, 39, 0xa1, 0x18, 43, 0xc4, 0x82, 0x20, 20, 0x18, 40, 0xa1, 0x18, 43,
        0xc4, 0x82, 0x20, 15, 0x18, 50, 0xa0,
    ];
    [&[0xa1, 0x18, 30, 0xa2, 0x18, 32], set, &[0x18, 44], set].concat()
}

/// What a server says of its configuration. Key 34 is its maximum and 35 its minimum, or the other way round, as
/// a part of the registry has it.
pub(super) fn configuration_report(swapped: bool) -> Vec<u8> {
    let [max, min, max_decimal, min_decimal] = match swapped {
        false => [34, 35, 41, 42],
        true => [35, 34, 42, 41],
    };
    let range = |highest: u8, lowest: u8, current: u8| {
        [
            &[0xa3, 0x18, max, 0x18, highest, 0x18, min, 0x18, lowest],
            &[0x18, 36, 0x18, current][..],
        ]
        .concat()
    };
    let decimal = |highest: [u8; 2], lowest: u8, current: u8| {
        [
            &[
                0xa3,
                0x18,
                max_decimal,
                0xc4,
                0x82,
                0x20,
                0x19,
                highest[0],
                highest[1],
            ][..],
            &[0x18, min_decimal, 0xc4, 0x82, 0x20, 0x18, lowest],
            &[0x18, 43, 0xc4, 0x82, 0x20, 0x18, current],
        ]
        .concat()
    };
    let set = [
        &[0xa5, 0x18, 33][..],
        &range(240, 15, 40),
        &[0x18, 37],
        &range(20, 3, 9),
        &[0x18, 38],
        &range(15, 2, 3),
        &[0x18, 39],
        &decimal([1, 0x2c], 10, 20),
        &[0x18, 40],
        &decimal([0, 40], 11, 15),
    ]
    .concat();
    [
        &[0xa1, 0x18, 30, 0xa2, 0x18, 32][..],
        &set,
        &[0x18, 44],
        &set,
    ]
    .concat()
}
