//! Everything that can be wrong in a configuration file, in sentences: what was found, and what to write instead.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use agent::gateway::RuleError;
use agent::relay::RelayIdentifierError;
use dots::identifiers::IdentifierError;
use ipnet::IpNet;
use pvd::PvdId;

use super::error::Severity;
use super::wording::{KeyHint, List, Quoted, advice, example_prefix, full_length};

/// What is wrong. The texts say what was found and what to write instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProblemKind {
    // The text as TOML.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    #[error("is not a key of this table; {}", KeyHint(.known, .nearest))]
    UnknownKey {
        known: Vec<&'static str>,
        nearest: Option<&'static str>,
    },
    #[error("is missing; write {key} = {example}", key = .key, example = .example)]
    MissingKey {
        key: &'static str,
        example: &'static str,
    },
    #[error("there is no [[{table}]] in this file; {advice}")]
    MissingTable {
        table: &'static str,
        advice: &'static str,
    },
    #[error("this is {found}; write {wanted}")]
    WrongType {
        found: &'static str,
        wanted: &'static str,
    },
    #[error("the list is empty; write at least one {wanted}")]
    EmptyList { wanted: &'static str },
    #[error("more than {limit} entries; a configuration has at most {limit} here")]
    TooManyEntries { limit: usize },
    #[error("is the same as {other} (line {line}); delete one of the two")]
    Twice { other: String, line: usize },
    #[error("{value} is out of range; write {wanted}")]
    OutOfRange { value: String, wanted: String },
    #[error("{} is not known here; write {wanted}", Quoted(.text))]
    UnknownChoice { text: String, wanted: &'static str },
    #[error(
        "does nothing when action is \"drop\"; delete it, or write action = \"limit-per-source\""
    )]
    UselessWithDrop,
    #[error(
        "this is no daemon's file: a client's has [[pvd]], a server's has [[customer]], and a gateway's has both"
    )]
    UnknownDaemon,

    #[error("this is a client's file, as it has {key}; start it with moat client --config {}", file.display())]
    FileOfAClient { key: &'static str, file: PathBuf },
    #[error("this is a server's file, as it has {key}; start it with moat server --config {}", file.display())]
    FileOfAServer { key: &'static str, file: PathBuf },
    #[error("this is a gateway's file, as it has {key}; start it with moat gateway --config {}", file.display())]
    FileOfAGateway { key: &'static str, file: PathBuf },

    // Gateways.
    #[error("{why}; write a short name, like \"gw1.example\"")]
    NotARelay { why: RelayIdentifierError },
    #[error("{why}")]
    NotANatRule { why: RuleError },
    #[error("a cdid {why}; write what the gateway says, like 7eeaf349529eb55ed50113")]
    NotACdid { why: IdentifierError },

    // Prefixes.
    #[error("{} is not a prefix: {why}; write it like {}", Quoted(.text), example_prefix(.text))]
    NotAPrefix { text: String, why: &'static str },
    #[error("{} has no prefix length; write {address}/{} for this one address", Quoted(.text), full_length(*.address))]
    NoPrefixLength { text: String, address: IpAddr },
    #[error("{} has bits set behind its prefix length; write {right}", Quoted(.text))]
    HostBits { text: String, right: IpNet },
    #[error("{} holds {what} addresses, which no network assigns; write the prefix that the provider assigned", Quoted(.text))]
    SpecialPrefix { text: String, what: &'static str },
    #[error("{prefix} is in {other} already (line {line}); delete one of the two")]
    PrefixTwice {
        prefix: IpNet,
        other: String,
        line: usize,
    },
    #[error(
        "{prefix} overlaps {with} of {other} (line {line}): the longer one decides, and of the same prefix both servers are asked; \
         if only one provider assigned it, delete the other; what is your own belongs in provider_independent"
    )]
    PrefixOfTwoPvds {
        prefix: IpNet,
        with: IpNet,
        other: String,
        line: usize,
    },
    #[error(
        "{prefix} overlaps {with} of {other} (line {line}): both customers can ask for its mitigation; \
         if only one of them owns it, delete the other"
    )]
    PrefixOfTwoCustomers {
        prefix: IpNet,
        with: IpNet,
        other: String,
        line: usize,
    },

    #[error("{id} is the id of no [[pvd]] in this file; write one of them")]
    UnknownPvd { id: String },
    #[error(
        "none of {} may be asked for {prefix}, so nobody is: none of them assigned it, and it is not in provider_independent; \
         name the PvD that assigned it, or write disclosure = \"consented\" in [selection] to tell others of it",
        .pvds.join(", ")
    )]
    PreferredMayNot { prefix: IpNet, pvds: Vec<String> },
    #[error(
        "{prefix} is in provider_independent (line {line}) and assigned by this PvD too: only this PvD is asked for it; \
         delete one of the two"
    )]
    IndependentAndAssigned { prefix: IpNet, line: usize },
    #[error(
        "{address} is a DOTS server of {other} too: nobody can tell which of the two networks answers at an anycast address \
         (RFC 9284 §5.2, §5.3); give each its own address, or write the same provider in both if it is one provider's server"
    )]
    SharedServerAddress { address: IpAddr, other: String },

    // Addresses, names, paths.
    #[error("{} is not an IP address; write it like 203.0.113.1 or 2001:db8::1", Quoted(.text))]
    NotAnAddress { text: String },
    #[error("{} is of IPv4, which Router Advertisements do not carry; write one of IPv6, and leave IPv4 to DHCP", Quoted(.text))]
    NotIpv6 { text: String },
    #[error("{} is not a link-local address, from which alone routers advertise; write one like fe80::a, or nothing for moat's choice", Quoted(.text))]
    NotLinkLocal { text: String },
    #[error("{} is not an IP address with a port; write it like 203.0.113.1:{port}, [2001:db8::1]:{port}, or without the port for {port}", Quoted(.text))]
    NotASocketAddress { text: String, port: u16 },
    #[error("{} is {what} address, which cannot be used here; write a unicast address of the network", Quoted(.text))]
    SpecialAddress { text: String, what: &'static str },
    #[error("port 0 cannot be reached; leave the port out for {port}")]
    PortZero { port: u16 },
    #[error("{address} is in none of this PvD's prefixes ({}); write an address of this network, or add its prefix", List(.prefixes))]
    AddressOutsidePrefixes {
        address: IpAddr,
        prefixes: Vec<IpNet>,
    },
    #[error("{what} is in {other} already (line {line}); delete one of the two")]
    AddressTwice {
        what: String,
        other: String,
        line: usize,
    },
    #[error(
        "{address} is a source address of {other} too (line {line}), so it does not say which network to leave by; \
         give each PvD an address of its own, or each its own interface"
    )]
    AddressOfTwoPvds {
        address: IpAddr,
        other: String,
        line: usize,
    },
    #[error(
        "{address} is a source address of {other} too (line {line}); only the interfaces tell the networks apart"
    )]
    AddressSharedAcrossInterfaces {
        address: IpAddr,
        other: String,
        line: usize,
    },
    #[error("{address} is an IPv{} address, and addresses of this PvD has none of that family to send from; add one", if .address.is_ipv4() { 4 } else { 6 })]
    NoSourceAddress { address: IpAddr },
    #[error("this PvD has no DOTS server, so its provider cannot be asked; add [[pvd.dots]]")]
    NoDotsServer,
    #[error("{} is not a name: {why}; write it like {example}", Quoted(.text))]
    NotAName {
        text: String,
        why: NameProblem,
        example: &'static str,
    },
    #[error("{} is used by {other} already (line {line}); give this one a name of its own", Quoted(.name))]
    NameTwice {
        name: String,
        other: String,
        line: usize,
    },
    #[error("{} is not an interface name: 1 to 15 characters without spaces and slashes; write it like eth0", Quoted(.text))]
    NotAnInterface { text: String },
    #[error(
        "there is no interface {name} on this machine now; check the name (ip link shows them), or bring it up"
    )]
    NoSuchInterface { name: String },
    #[error("{} is not a name for an nftables table: 1 to 32 of a-z, 0-9 and _, a letter first; write it like moat", Quoted(.text))]
    NotATable { text: String },
    #[error("the path is empty; write a file name")]
    EmptyPath,
    #[error("this is the content of a PEM file; write it to a file and give its path here")]
    PemInsteadOfPath,
    #[error(
        "the path has {bytes} bytes, and a socket's path has at most {limit}; write a shorter one"
    )]
    SocketPathTooLong { bytes: usize, limit: usize },
    #[error("is the same file as {other} (line {line}); give each its own")]
    SamePath { other: &'static str, line: usize },

    // Credentials.
    #[error(
        "there are no credentials; write certificate, private_key and trust_anchors, or psk_identity and psk_key_file"
    )]
    NoCredentials,
    #[error(
        "there are credentials of both kinds; delete certificate, private_key and trust_anchors, or psk_identity and psk_key_file"
    )]
    CredentialsOfBothKinds,
    #[error(
        "{name} has no psk_identity, so it needs a certificate, and this server has none to answer with; \
         write certificate, private_key and trust_anchors at the top, or psk_identity and psk_key_file here"
    )]
    CustomerWithoutCredentials { name: String },
    #[error("{} is not a PSK identity: 1 to 128 octets without control characters; write it like home.example.net", Quoted(.text))]
    NotAPskIdentity { text: String },
    #[error("{} holds no pre-shared key: {why}; make one: moat pki psk IDENTITY", file.display())]
    NoPreSharedKey { file: PathBuf, why: KeyProblem },
    #[error("{} is open to other users of this machine (mode {mode:04o}); run: chmod 600 {}", file.display(), file.display())]
    SecretOpenToOthers { file: PathBuf, mode: u32 },
    #[error(
        "is the same key file as that of {other} (line {line}), so each can pass for the other; give each customer its own"
    )]
    KeyOfTwoCustomers { other: String, line: usize },

    // What a daemon will need of the machine.
    #[error(
        "cannot listen on {address}, {transport}: {source}; write an address of this machine (ip address shows them), or [::]:4646 for all"
    )]
    AddressUnusable {
        address: SocketAddr,
        transport: &'static str,
        source: io::Error,
    },
    #[error(
        "something listens on {address}, {transport}, already; unless it is this server itself, stop it, or write another port"
    )]
    AddressTaken {
        address: SocketAddr,
        transport: &'static str,
    },
    #[error(
        "user {user} may not listen on {address}, {transport}; run moat as a user who may, or write a port above 1023"
    )]
    AddressNotAllowed {
        address: SocketAddr,
        transport: &'static str,
        user: u32,
    },
    #[error("there is no program {} here, and nothing is dropped without it; install the package nftables, or write program = \"/path/to/nft\" in [mitigator.nftables]", program.display())]
    NoProgram { program: PathBuf },
    #[error(
        "user {user} lacks {name}, without which {loss}; run moat as root, or give it that right alone \
         (AmbientCapabilities={name} in a unit of systemd)"
    )]
    NoCapability {
        user: u32,
        name: &'static str,
        loss: &'static str,
    },
    #[error(
        "{address} is on no interface of this machine now, and nothing can be sent from it; \
         check it (ip address shows them), or bring its interface up"
    )]
    NotOwnAddress { address: IpAddr },
    #[error("{} is not {wanted}; name another file", path.display())]
    OtherKind { path: PathBuf, wanted: &'static str },
    #[error("{} cannot be written: {source}; let the user that runs moat write it, or name another file", path.display())]
    NotWritable { path: PathBuf, source: io::Error },
    #[error("user {user} cannot write {}, which is user {owner}'s; run moat as a user who can, or name another file", path.display())]
    OfAnotherUser {
        path: PathBuf,
        user: u32,
        owner: u32,
    },

    // Files that are named in it.
    #[error("{} cannot be read: {source}; {}", file.display(), advice(source))]
    FileUnreadable { file: PathBuf, source: io::Error },
    #[error("{} is longer than {limit} bytes; name {wanted}", file.display())]
    FileTooLong {
        file: PathBuf,
        limit: u64,
        wanted: &'static str,
    },
    #[error("{} holds no certificate; name a PEM file with BEGIN CERTIFICATE in it", file.display())]
    NoCertificate { file: PathBuf },
    #[error("{} holds no private key; name a PEM file with BEGIN PRIVATE KEY in it", file.display())]
    NoPrivateKey { file: PathBuf },
    #[error("{file} is encrypted, and a daemon cannot be asked for the passphrase; store it readable for moat only: openssl pkey -in {file} -out KEY.pem", file = .file.display())]
    EncryptedPrivateKey { file: PathBuf },
    #[error("{} does not belong to the certificate {}; name the key that the certificate was made with", key.display(), certificate.display())]
    KeyOfAnotherCertificate { key: PathBuf, certificate: PathBuf },
    #[error("{} is not for {use_}: its extended key usage lacks {purpose}; ask its issuer for one that has it", file.display())]
    WrongPurpose {
        file: PathBuf,
        use_: &'static str,
        purpose: &'static str,
    },
    #[error("{} is for another name, so no host takes it (RFC 8801 §4.1); make one that has the DNS-ID {id}: moat pki issue --server {id}", file.display())]
    NotForPvd { file: PathBuf, id: PvdId },
    #[error("{} is not a CA's certificate, so nothing it issued can be verified; name the CA's", file.display())]
    NotACa { file: PathBuf },
    #[error("{} has a key of {bits} bits, which can be broken; make one with P-256, or RSA of 2048 bits or more", file.display())]
    WeakKey { file: PathBuf, bits: u32 },
    #[error("{} has a key of {bits} bits, which can be broken, so nothing it issued is trusted; ask for a CA with P-256, or RSA of 2048 bits or more", file.display())]
    WeakAuthority { file: PathBuf, bits: u32 },
    #[error("{} has expired ({not_after}); peers refuse it: renew it", file.display())]
    Expired { file: PathBuf, not_after: String },
    #[error("{} expires in less than {days} days ({not_after}); renew it before", file.display())]
    ExpiresSoon {
        file: PathBuf,
        days: i32,
        not_after: String,
    },
    #[error("{} is not valid before {not_before}; set this machine's clock, or wait", file.display())]
    NotYetValid { file: PathBuf, not_before: String },
    #[error("{} could not be examined: {source}", file.display())]
    Unexaminable {
        file: PathBuf,
        source: openssl::error::ErrorStack,
    },
}

impl ProblemKind {
    pub(super) fn severity(&self) -> Severity {
        match self {
            Self::PrefixOfTwoPvds { .. }
            | Self::PrefixOfTwoCustomers { .. }
            | Self::AddressSharedAcrossInterfaces { .. }
            | Self::IndependentAndAssigned { .. }
            | Self::PreferredMayNot { .. }
            | Self::NoCapability { .. }
            | Self::NotOwnAddress { .. }
            | Self::SharedServerAddress { .. }
            | Self::NoSourceAddress { .. }
            | Self::NoDotsServer
            | Self::NoSuchInterface { .. }
            | Self::AddressTaken { .. }
            | Self::AddressNotAllowed { .. }
            | Self::OfAnotherUser { .. }
            | Self::ExpiresSoon { .. } => Severity::Warning,
            // These break one credential; the other provider of a client can still be asked.
            Self::WrongPurpose { .. }
            | Self::NotForPvd { .. }
            | Self::NotACa { .. }
            | Self::WeakAuthority { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. } => Severity::Error,
            _ => Severity::Fatal,
        }
    }
}

/// Why a text is not a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameProblem {
    #[error("it is empty")]
    Empty,
    #[error("it is longer than 253 characters")]
    TooLong,
    #[error("it is an IP address")]
    Address,
    #[error("it ends with a dot")]
    DotAtEnd,
    #[error("a part between its dots is empty")]
    EmptyLabel,
    #[error("a part between its dots is longer than 63 characters")]
    LongLabel,
    #[error("a part between its dots begins or ends with a hyphen")]
    Hyphen,
    #[error("only a-z, 0-9, hyphens and dots are allowed (other letters as xn--...)")]
    Character,
    #[error("it has one part only, and a fully qualified domain name has more")]
    NotQualified,
    #[error("it has control characters, or spaces at an end")]
    NotPrintable,
}

/// Why a file holds no pre-shared key. Its content is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    #[error("its content is neither hexadecimal nor base64")]
    NotText,
    #[error("it is a PEM file, as certificates and their keys are in, and not a bare key")]
    Pem,
    #[error("its key has {octets} octets, and 16 to 256 are possible")]
    Length { octets: usize },
}
