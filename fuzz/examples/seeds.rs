//! Writes the seeds: one small input or more for each target, from which libFuzzer goes on.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use coap::{Code, Frame, Message, MessageId, MessageType, OptionNumber, Options, Token};
use dots::configuration::{
    AcceptableConfiguration, AckTimeout, ConfigurationReport, ConfigurationRequest,
    HeartbeatInterval, RequestedSet, SessionConfiguration,
};
use dots::heartbeat::Heartbeat;
use dots::identifiers::Mid;
use dots::mitigation::{
    AttackStatus, ConflictCause, ConflictInformation, ConflictScope, ConflictStatus,
    ConflictingAcl, Granted, MitigationRequest, Refusal,
};
use dots::redirect::RedirectedSignal;
use dots::target::{PortRange, Protocol, Target};
use dtls::{ClientConfig, Output, PskIdentity, PskKey, Session, SessionSettings};
use pvd::bindings::router_advertisement::{
    Announced, Delay, Header, Lifetime, NdOption, PrefixInformation, PvdOption, RouterAdvertisement,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let target = target()?;
    let lifetime = dots::lifetime::Lifetime::from_number(3600)?;
    let request = MitigationRequest::new(target.clone(), lifetime, true, None)?.encode();
    write("mitigation_request", "names_and_addresses", &request)?;
    write("mitigation_request", "deployed_client", &deployed_request())?;

    let status = Some(AttackStatus::UnderAttack);
    let update = MitigationRequest::new(target.clone(), lifetime, false, status)?;
    write("efficacy_update", "under_attack", &update.encode())?;

    let conflict = conflict(target)?;
    let granted = Granted {
        mid: Mid(12_332),
        lifetime,
        conflict: Some(conflict.clone()),
    };
    write("granted", "in_spite_of_a_conflict", &granted.encode())?;
    let plain = Granted {
        conflict: None,
        ..granted
    };
    write("granted", "plain", &plain.encode())?;
    write("refusal", "accept_list", &Refusal { conflict }.encode())?;
    write("mitigation_report", "two_requests", &report())?;

    configuration()?;
    let redirected = RedirectedSignal {
        alt_server: "alt-server.example".parse()?,
        alt_server_records: vec!["2001:db8:6401::1".parse()?, "192.0.2.9".parse()?],
    };
    write("redirect", "two_addresses", &redirected.encode())?;
    let heartbeat = Heartbeat {
        peer_hb_status: true,
    };
    write("heartbeat", "heard", &heartbeat.encode())?;

    let cuid = "dz6pHjaADkaFTbjr0JGBpw";
    let path =
        format!(".well-known/dots/mitigate/cdid=7eeaf349529eb55ed50113/cuid={cuid}/mid=123?c=n");
    write("uri", "mitigate", path.as_bytes())?;
    write(
        "uri",
        "config",
        b".well-known/dots/v1/config/sid=4294967295",
    )?;
    write("uri", "heartbeat", b".well-known/dots/hb?c=a&x=1")?;

    messages(&request)?;
    dhcp()?;
    router_advertisement()?;
    additional_information()?;
    signed_object()?;
    hellos()
}

/// What a server says to a client of the targets: its name, ours, and all that was asked for.
/// A PvD with a header, a resolver and a prefix of its own.
fn router_advertisement() -> Result<()> {
    let advertisement = RouterAdvertisement {
        outer: Header::default(),
        outer_options: vec![NdOption::Mtu(1500)],
        pvd: Some(PvdOption {
            id: "example.org".parse()?,
            additional_information: Some(Announced {
                delay: Delay::default(),
                sequence_number: 123,
            }),
            has_legacy: true,
            header: Some(Header::default()),
            options: vec![
                NdOption::RecursiveDnsServers {
                    lifetime: Lifetime::Infinite,
                    addresses: vec!["2001:db8::53".parse()?],
                },
                NdOption::DnsSearchList {
                    lifetime: Lifetime::Seconds(600),
                    domains: vec!["example.org".parse()?],
                },
                NdOption::PrefixInformation(PrefixInformation {
                    prefix: "2001:db8::/64".parse()?,
                    is_on_link: true,
                    is_autonomous: true,
                    valid: Lifetime::Infinite,
                    preferred: Lifetime::Seconds(600),
                }),
            ],
        }),
    };
    let message = advertisement.encode();
    let rest = message.get(2..).unwrap_or_default();
    write("router_advertisement", "pvd", rest)
}

/// A header and what it stands before, without the signature; and what is sealed for a device.
fn signed_object() -> Result<()> {
    let payload =
        r#"{"identifier":"cafe.example.com.","expires":"2030-05-23T06:00:00Z","prefixes":[]}"#;
    for (name, header) in [
        ("plain", r#"{"alg":"EdDSA","cty":"pvd+json","kid":"1"}"#),
        (
            "chain",
            r#"{"alg":"ES256","cty":"pvd+json","x5c":["AAAA"],"crit":["exp"]}"#,
        ),
    ] {
        let seed = format!("{header}\0{payload}");
        write("signed_object", name, seed.as_bytes())?;
    }
    let header = r#"{"alg":"ECDH-ES","enc":"A256GCM","epk":{"kty":"OKP","crv":"X25519","x":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}}"#;
    let header = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header);
    let sealed = format!("{header}..BwcHBwcHBwcHBwcH.BwcH.BwcHBwcHBwcHBwcHBwcHBw");
    write("signed_object", "sealed", sealed.as_bytes())
}

/// Every key that is registered, in two objects that libFuzzer can keep.
fn additional_information() -> Result<()> {
    let object = |rest: &str| {
        format!(
            r#"{{"identifier":"cafe.example.com.","expires":"2030-05-23T06:00:00Z","prefixes":["2001:db8::/48"],{rest}}}"#
        )
    };
    let registered = object(
        r#""dnsZones":["example.com"],"noInternet":true,"splitDnsClaims":[{"resolver":"dns.example.net",
"parent":"example.com","subdomains":["sub","*"],"algorithm":"SHA384","salt":"abc"}],"proxies":[{"protocol":"socks5",
"proxy":"[2001:db8::1]:1080","mandatory":["alpn"],"alpn":["h3"],"identifier":"p"},{"protocol":"connect-udp",
"proxy":"https://a.example/{x}"}],"proxy-match":[{"proxies":["p"],"domains":["a.example","*.b.example"],
"subnets":["2001:db8::1","192.0.2.0/24"],"ports":["80","1024-65535"]}]"#,
    );
    write(
        "additional_information",
        "registered",
        registered.as_bytes(),
    )?;
    let ours = object(
        r#""vendor-moat":{"ipv4Prefixes":["192.0.2.0/24"],"dotsServers":[{"name":"dots.example",
"addresses":["2001:db8::1","192.0.2.9:5000"],"transports":["udp","tcp"]}],"dotsAgent":"client-domain-gateway",
"vpn":{"gateway":"vpn.example","identity":"vpn.example","prefixes":["10.0.0.0/8"]},"networks":"a..b.c.d"},
"vendor-other":{"a":[1,2.5,null,false,"\ud83d\ude00"]}"#,
    );
    write("additional_information", "ours", ours.as_bytes())
}

fn dhcp() -> Result<()> {
    let name = b"\x04dots\x07example\x03com\0";
    let v6 = |code: u8, value: &[u8]| {
        let length = u16::try_from(value.len())?.to_be_bytes();
        Ok::<_, Box<dyn Error>>([&[0, code], &length[..], value].concat())
    };
    let address = "2001:db8::1".parse::<std::net::Ipv6Addr>()?.octets();
    let options = [
        v6(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1])?,
        v6(2, b"\0\x02server")?,
        v6(23, &address)?,
        v6(24, name)?,
        v6(32, &7200_u32.to_be_bytes())?,
        v6(83, &300_u32.to_be_bytes())?,
        v6(141, name)?,
        v6(142, &address)?,
    ];
    write("dhcpv6_reply", "everything", &options.concat())?;

    let v4 = |code: u8, value: &[u8]| {
        let length = u8::try_from(value.len())?;
        Ok::<_, Box<dyn Error>>([&[code, length], value].concat())
    };
    let options = [
        v4(53, &[5])?,
        v4(54, &[192, 0, 2, 1])?,
        v4(52, &[3])?,
        v4(6, &[192, 0, 2, 53])?,
        v4(15, b"example.com")?,
        v4(147, name)?,
        v4(148, &[192, 0])?,
        v4(148, &[2, 1])?,
        vec![255],
    ];
    write("dhcpv4_acknowledgement", "everything", &options.concat())
}

fn write(target: &str, name: &str, seed: &[u8]) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), seed)?)
}

fn target() -> Result<Target> {
    Ok(Target {
        prefixes: vec!["2001:db8:6401::1/128".parse()?, "198.51.100.0/24".parse()?],
        port_ranges: vec![PortRange::single(443), PortRange::new(1000, Some(2000))?],
        protocols: vec![Protocol::TCP, Protocol::UDP],
        fqdns: vec!["www.example.com".parse()?],
        uris: vec!["https://[2001:db8::1]:8443/shop".parse()?],
        aliases: vec!["web-farm".parse()?],
    })
}

/// As deployed clients write it: trigger-mitigation although it is the default.
fn deployed_request() -> Vec<u8> {
    let mut body = vec![0xa1, 1, 0xa1, 2, 0x81, 0xa5, 6, 0x81, 0x6f];
    body.extend(b"198.51.100.7/32");
    body.extend([
        7, 0x81, 0xa1, 8, 0x18, 80, 10, 0x81, 6, 14, 0x18, 100, 0x18, 45, 0xf5,
    ]);
    body
}

/// Two requests: one active with counters, one that waits.
fn report() -> Vec<u8> {
    let mut body = vec![0xa1, 1, 0xa1, 2, 0x82, 0xa7];
    body.extend([5, 0x19, 0x30, 0x2c, 6, 0x81, 0x6f]);
    body.extend(b"198.51.100.0/24");
    body.extend([
        14, 0x19, 0x0e, 0x10, 15, 0x1a, 0x66, 0x00, 0x00, 0x00, 16, 2,
    ]);
    body.extend([
        0x18, 25, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0x18, 27, 0x19, 0x10, 0,
    ]);
    body.extend([0xa5, 5, 1, 13, 0x81, 0x63]);
    body.extend(b"web");
    body.extend([14, 0x20, 16, 8, 0x18, 45, 0xf4]);
    body
}

fn conflict(target: Target) -> Result<ConflictInformation> {
    Ok(ConflictInformation {
        status: Some(ConflictStatus::from_code(2)),
        cause: Some(ConflictCause::from_code(2)),
        retry_timer: Some(600),
        scope: Some(ConflictScope {
            mid: Some(Mid(7)),
            target,
            acl_list: vec![ConflictingAcl {
                acl_name: "an-accept-list".parse()?,
                acl_type: Some("ipv4-acl-type".parse()?),
            }],
        }),
    })
}

fn configuration() -> Result<()> {
    let set = RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::DEFAULT),
        ack_timeout: Some(AckTimeout::DEFAULT),
        ..RequestedSet::default()
    };
    let request = ConfigurationRequest::new(set, set)?;
    write("configuration_request", "both_sets", &request.encode())?;
    let current = SessionConfiguration::default();
    let report = ConfigurationReport::new(&current, &AcceptableConfiguration::default());
    write("configuration_report", "defaults", &report.encode())
}

/// Messages, streams, and scripts in which both occur (see `drive.rs`).
fn messages(body: &[u8]) -> Result<()> {
    let mut options = Options::new();
    for segment in [".well-known", "dots", "mitigate", "cuid=c", "mid=1"] {
        options.push(OptionNumber::URI_PATH, segment.as_bytes());
    }
    options.push_uint(OptionNumber::CONTENT_FORMAT, 271);
    options.push_uint(OptionNumber::HOP_LIMIT, 16);
    let token = Token::new(&[1, 2, 3, 4]).ok_or("a token")?;
    let put = Message {
        message_type: MessageType::NonConfirmable,
        code: Code::PUT,
        message_id: MessageId(1),
        token,
        options: options.clone(),
        payload: body.to_vec(),
    };
    write("coap_message", "put", &put.encode())?;
    let empty = Message::empty(MessageType::Confirmable, MessageId(9));
    write("coap_message", "ping", &empty.encode())?;

    let frame = |code, options: &Options, payload: &[u8]| {
        let (options, payload) = (options.clone(), payload.to_vec());
        Frame {
            code,
            token,
            options,
            payload,
        }
        .encode()
    };
    let csm = frame(Code::CSM, &Options::new(), b"");
    let long = frame(Code::PUT, &options, body);
    let ping = frame(Code::PING, &Options::new(), b"");
    write(
        "coap_stream",
        "csm_put_ping",
        &[&csm[..], &long, &ping].concat(),
    )?;

    let mut get_options = Options::new();
    get_options.push_uint(OptionNumber::OBSERVE, 0);
    get_options.push(OptionNumber::URI_PATH, b"mitigate");
    let get = Message {
        message_type: MessageType::Confirmable,
        code: Code::GET,
        options: get_options.clone(),
        payload: Vec::new(),
        ..put.clone()
    };
    let mut block_options = Options::new();
    block_options.push(OptionNumber::URI_PATH, b"mitigate");
    block_options.push_uint(OptionNumber::BLOCK1, 0x08);
    let block = Message {
        message_id: MessageId(2),
        options: block_options.clone(),
        payload: vec![7; 16],
        ..put
    };
    let [get_script, block_script] = [&get, &block].map(|message| receive(&message.encode()));
    let observed = [&get_script[..], &[4, 3, 100, 5, 9, 7, 4, 5, 200]].concat();
    write("datagram_endpoint", "observe_and_notify", &observed)?;
    let blocks = [&block_script[..], &block_script, &[4, 2, 0]].concat();
    write("datagram_endpoint", "block1", &blocks)?;
    // Send, wait for a copy, acknowledge, answer with 2.05.
    let asked = [
        3, 4, 10, 6, 200, 7, 3, 2, 0x20, 0, 0, 2, 0x10, 0x45, 1, 0x60,
    ];
    write("datagram_endpoint", "ask_and_be_answered", &asked)?;

    let csm = receive(&csm);
    let get = receive(&frame(Code::GET, &get_options, b""));
    let block = receive(&frame(Code::PUT, &block_options, &[7; 16]));
    let observed = [&csm[..], &get, &[4, 3, 100, 5, 9], &block, &receive(&ping)].concat();
    write("stream_endpoint", "observe_and_blocks", &observed)?;
    let asked = [&csm[..], &[3, 4, 10, 2, 0, 0x45, 1, 0x60, 7, 250, 8, 1]].concat();
    write("stream_endpoint", "ask_and_be_answered", &asked)
}

fn receive(octets: &[u8]) -> Vec<u8> {
    let length = u8::try_from(octets.len()).unwrap_or(u8::MAX);
    [&[0, 0, length], octets].concat()
}

/// What OpenSSL makes of it, and the shortest there is.
fn hellos() -> Result<()> {
    let identity = PskIdentity::new("customer-1")?;
    let settings = SessionSettings::default();
    let client = ClientConfig::with_psk(&identity, &PskKey::new(&[7; 32])?, settings)?;
    let now = Instant::now();
    let mut session = client.connect(now, "server.example", None)?;
    let Some(Output::Transmit(real)) = session.poll_output() else {
        return Err("a client begins with a ClientHello".into());
    };
    let mut short = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54];
    short.extend([1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 0xfe, 0xfd]);
    short.extend([7; 32]);
    short.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    for (name, hello) in [("openssl", real), ("short", short)] {
        write("client_hello", name, &hello)?;
        let input = [&[30, 128, 1], &hello[..]].concat();
        write("cookie_door", name, &input)?;
    }
    Ok(())
}
