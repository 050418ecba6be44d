//! The kernel's programs that hold the sockets of a control group to one PvD (bpf(2); Linux: Documentation/bpf/).
//!
//! ```text
//! socket()  --> of_interface   every IPv4 and IPv6 socket is bound to the interface; no Multipath TCP, which opens others by itself
//! bind()    --> bind           to no address of another interface
//! bind()    \
//! connect()  > --> insist      where the interface has addresses of other PvDs, too: from one of this PvD, or not at all
//! sendto()  /
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One instruction, as the kernel has it: operation, registers, offset, number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    operation: u8,
    registers: u8,
    offset: i16,
    number: i32,
}

/// Where in the kernel a program is called (`enum bpf_attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    SocketCreate = 2,
    Bind4 = 8,
    Bind6 = 9,
    Connect4 = 10,
    Connect6 = 11,
    Send4 = 14,
    Send6 = 15,
}

/// What is called there.
pub(super) type Program = (Hook, Vec<Instruction>);

impl Hook {
    /// `enum bpf_prog_type`: of sockets, and of their addresses.
    pub(super) fn program_type(self) -> u32 {
        match self {
            Self::SocketCreate => 9,
            _ => 18,
        }
    }
}

const LOAD_WORD: u8 = 0x61;
const STORE_WORD: u8 = 0x63;
const STORE_NUMBER: u8 = 0x62;
const STORE_HALF_NUMBER: u8 = 0x6a;
const MOVE: u8 = 0xbf;
const MOVE_NUMBER: u8 = 0xb7;
const ADD_NUMBER: u8 = 0x07;
const AND_NUMBER_WORD: u8 = 0x54;
const IF_EQUAL_WORD: u8 = 0x16;
const IF_NOT_EQUAL_WORD: u8 = 0x56;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// Registers: the result, the arguments, one that a call leaves alone, the end of the stack.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const SECOND: u8 = 2;
const THIRD: u8 = 3;
const KEPT: u8 = 6;
const STACK: u8 = 10;

/// `struct bpf_sock`
const BOUND_INTERFACE: i16 = 0;
const SOCKET_PROTOCOL: i16 = 12;
/// `struct bpf_sock_addr`
const USER_V4: i16 = 4;
const USER_V6: i16 = 8;
const SOURCE_V4: i16 = 40;
const SOURCE_V6: i16 = 44;

/// The function that binds a socket while it is connected.
const BIND: i32 = 64;
/// `-EINVAL`: it was bound before; then to what [`Hook::Bind4`] and [`Hook::Bind6`] allow.
const BOUND: i32 = -22;

const IPPROTO_TCP: i32 = 6;
const IPPROTO_UDP: i32 = 17;
const IPPROTO_MPTCP: i32 = 262;

const ALLOW: i32 = 1;
const DENY: i32 = 0;

const fn op(operation: u8, to: u8, from: u8, offset: i16, number: i32) -> Instruction {
    let registers = match cfg!(target_endian = "little") {
        true => to | from << 4,
        false => to << 4 | from,
    };
    Instruction {
        operation,
        registers,
        offset,
        number,
    }
}

/// Ends with this verdict.
fn verdict(number: i32) -> [Instruction; 2] {
    [op(MOVE_NUMBER, RESULT, 0, 0, number), op(EXIT, 0, 0, 0, 0)]
}

/// Binds new sockets to the interface of this index. Where addresses count as well, only what can be held to them may be opened.
pub(super) fn of_interface(index: i32, addresses_count: bool) -> Program {
    let mut program = vec![op(LOAD_WORD, SECOND, CONTEXT, SOCKET_PROTOCOL, 0)];
    if addresses_count {
        program.push(op(IF_EQUAL_WORD, SECOND, 0, 3, IPPROTO_TCP));
        program.push(op(IF_EQUAL_WORD, SECOND, 0, 2, IPPROTO_UDP));
    } else {
        program.push(op(IF_NOT_EQUAL_WORD, SECOND, 0, 2, IPPROTO_MPTCP));
    }
    program.extend(verdict(DENY));
    program.push(op(MOVE_NUMBER, SECOND, 0, 0, index));
    program.push(op(STORE_WORD, CONTEXT, SECOND, BOUND_INTERFACE, 0));
    program.extend(verdict(ALLOW));
    (Hook::SocketCreate, program)
}

/// The addresses of the PvD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
}

/// Addresses of no network that a program may have; of IPv4 also as an IPv6 socket has them (RFC 4291 §2.5.5.2).
const OF_NO_NETWORK: [(IpAddr, u8); 10] = [
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 32),
    (IpAddr::V4(Ipv4Addr::LOCALHOST), 8),
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 128),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    (IpAddr::V6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped()), 128),
    (IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()), 104),
    (
        IpAddr::V6(Ipv4Addr::new(224, 0, 0, 0).to_ipv6_mapped()),
        100,
    ),
];
/// Hosts make themselves addresses of such a prefix, ever new ones (RFC 8981).
const PREFIX: u8 = 64;

impl Sources {
    /// Of these addresses, the one to use first first.
    pub(super) fn new(addresses: &[IpAddr]) -> Self {
        let mut sources = Self {
            v4: Vec::new(),
            v6: Vec::new(),
        };
        for address in addresses {
            match address {
                IpAddr::V4(address) => sources.v4.push(*address),
                IpAddr::V6(address) => sources.v6.push(*address),
            }
        }
        sources
    }

    /// Where the interface has no others: the kernel chooses, and nobody takes an address of another interface.
    pub(super) fn forbid_others(&self) -> [Program; 2] {
        let v4 = self.v4.iter().map(|it| (IpAddr::V4(*it), 32));
        let mapped = self
            .v4
            .iter()
            .map(|it| (IpAddr::V6(it.to_ipv6_mapped()), 128));
        let v6 = self.v6.iter().map(|it| (IpAddr::V6(*it), PREFIX));
        let all: Vec<_> = v4.chain(mapped).chain(v6).chain(OF_NO_NETWORK).collect();
        let of = |is: fn(&IpAddr) -> bool| -> Vec<_> {
            let nets = all.iter().filter(|(address, _)| is(address));
            nets.map(|(address, length)| net(*address, *length))
                .collect()
        };
        [
            (Hook::Bind4, bind(USER_V4, &of(IpAddr::is_ipv4), None)),
            (Hook::Bind6, bind(USER_V6, &of(IpAddr::is_ipv6), None)),
        ]
    }

    /// Where it has others: what is sent has one of these, and nothing else can be.
    pub(super) fn insist(&self) -> [Program; 6] {
        let of = |address: IpAddr| net(address, u8::MAX);
        let v4: Vec<_> = self.v4.iter().map(|it| of((*it).into())).collect();
        let v6: Vec<_> = self.v6.iter().map(|it| of((*it).into())).collect();
        let first4 = v4.first().map(|net| net.words.as_slice());
        let first6 = v6.first().map(|net| net.words.as_slice());
        let mapped = self.v4.first().map(|it| of(it.to_ipv6_mapped().into()));
        let mapped = mapped.as_ref().map(|net| net.words.as_slice());
        let connect4 = first4.map_or(verdict(DENY).to_vec(), connect);
        [
            (Hook::Bind4, bind(USER_V4, &v4, first4)),
            (Hook::Bind6, bind(USER_V6, &v6, first6)),
            (Hook::Connect4, connect4),
            (Hook::Connect6, connect6(first6, mapped)),
            (Hook::Send4, send(SOURCE_V4, first4)),
            (Hook::Send6, send(SOURCE_V6, first6)),
        ]
    }
}

/// A prefix, in words as this machine loads them.
struct Net {
    words: Vec<i32>,
    masks: Vec<i32>,
}

fn net(address: IpAddr, length: u8) -> Net {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mask = |number: usize| {
        let bits = usize::from(length).saturating_sub(8 * number).min(8);
        u8::try_from(0xff00_u16 >> bits & 0xff).unwrap_or(u8::MAX)
    };
    let masks: Vec<_> = (0..octets.len()).map(mask).collect();
    let octets = octets.iter().zip(&masks);
    let octets: Vec<_> = octets.map(|(octet, mask)| octet & mask).collect();
    let words = |octets: &[u8]| -> Vec<i32> {
        let (words, _) = octets.as_chunks::<4>();
        words.iter().copied().map(word).collect()
    };
    Net {
        words: words(&octets),
        masks: words(&masks),
    }
}

/// A word of a packet as this machine loads it.
fn word(octets: [u8; 4]) -> i32 {
    i32::from_ne_bytes(octets)
}

/// An offset so many words further.
fn at(offset: i16, words: usize) -> i16 {
    offset + 4 * i16::try_from(words).unwrap_or_default()
}

/// Jumps so many instructions further.
fn over(instructions: usize) -> i16 {
    i16::try_from(instructions).unwrap_or_default()
}

/// If the user's address is in the prefix, what follows is done, which ends the program.
fn when(user: i16, net: &Net, then: &[Instruction]) -> Vec<Instruction> {
    let mut program = Vec::new();
    let mut jumps = Vec::new();
    for (number, (word, mask)) in net.words.iter().zip(&net.masks).enumerate() {
        if *mask == 0 {
            continue;
        }
        program.push(op(LOAD_WORD, SECOND, CONTEXT, at(user, number), 0));
        program.push(op(AND_NUMBER_WORD, SECOND, 0, 0, *mask));
        jumps.push(program.len());
        program.push(op(IF_NOT_EQUAL_WORD, SECOND, 0, 0, *word));
    }
    program.extend_from_slice(then);
    let end = program.len();
    for jump in jumps {
        if let Some(instruction) = program.get_mut(jump) {
            instruction.offset = over(end - jump - 1);
        }
    }
    program
}

/// Leaves an address in these prefixes as it is, takes another for the unspecified one if one is given, and denies what is left.
fn bind(user: i16, nets: &[Net], unspecified: Option<&[i32]>) -> Vec<Instruction> {
    let mut program = Vec::new();
    for net in nets {
        program.extend(when(user, net, &verdict(ALLOW)));
    }
    if let Some(words) = unspecified {
        let mut take = store(user, words);
        take.extend(verdict(ALLOW));
        let unspecified = Net {
            words: vec![0; words.len()],
            masks: vec![-1; words.len()],
        };
        program.extend(when(user, &unspecified, &take));
    }
    program.extend(verdict(DENY));
    program
}

fn store(offset: i16, words: &[i32]) -> Vec<Instruction> {
    let stored = words.iter().enumerate().flat_map(|(number, word)| {
        [
            op(MOVE_NUMBER, SECOND, 0, 0, *word),
            op(STORE_WORD, CONTEXT, SECOND, at(offset, number), 0),
        ]
    });
    stored.collect()
}

/// Binds to the source, unless it is bound already; denies where that cannot be.
fn connect(source: &[i32]) -> Vec<Instruction> {
    let (family, length, first) = match source.len() {
        1 => (libc::AF_INET, 16, 4),
        _ => (libc::AF_INET6, 28, 8),
    };
    const START: i16 = -32;
    let mut program = vec![op(MOVE, KEPT, CONTEXT, 0, 0)];
    for number in 0..8 {
        program.push(op(STORE_NUMBER, STACK, 0, at(START, number), 0));
    }
    program.push(op(STORE_HALF_NUMBER, STACK, 0, START, family));
    for (number, word) in source.iter().enumerate() {
        program.push(op(STORE_NUMBER, STACK, 0, at(START + first, number), *word));
    }
    program.extend([
        op(MOVE, CONTEXT, KEPT, 0, 0),
        op(MOVE, SECOND, STACK, 0, 0),
        op(ADD_NUMBER, SECOND, 0, 0, START.into()),
        op(MOVE_NUMBER, THIRD, 0, 0, length),
        op(CALL, 0, 0, 0, BIND),
        op(IF_EQUAL_WORD, RESULT, 0, 3, 0),
        op(IF_EQUAL_WORD, RESULT, 0, 2, BOUND),
    ]);
    program.extend(verdict(DENY));
    program.extend(verdict(ALLOW));
    program
}

/// A socket of IPv6 may be connected over IPv4, too.
fn connect6(source: Option<&[i32]>, mapped: Option<&[i32]>) -> Vec<Instruction> {
    let of = |source: Option<&[i32]>| source.map_or(verdict(DENY).to_vec(), connect);
    let all_mapped = net(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().into(), 96);
    let mut program = when(USER_V6, &all_mapped, &of(mapped));
    program.extend(of(source));
    program
}

/// Sends from the source.
fn send(offset: i16, source: Option<&[i32]>) -> Vec<Instruction> {
    let Some(source) = source else {
        return verdict(DENY).to_vec();
    };
    let mut program = store(offset, source);
    program.extend(verdict(ALLOW));
    program
}
