//! Noise: on the port, under the address of a session, and inside a session.

use std::env;
use std::net::UdpSocket;
use std::time::{SystemTime, UNIX_EPOCH};

use coap::{Code, Message, MessageType};
use fastrand::Rng;

use crate::support::{
    Legit, Outcome, Outgoing, PATIENCE, Peer, SERVER_V4, Site, assert_no_secret_in, get, isolated,
    put,
};

/// Replays the datagrams of a run.
const SEED: &str = "MOAT_NOISE_SEED";
const DATAGRAMS: usize = 10_000;
/// Datagrams sent before the server is asked whether it is still with us; they fit its buffer where the system grants the least.
const BATCH: usize = 20;

/// Record types and version of DTLS 1.2 (RFC 6347 §4.1).
const RECORD_TYPES: std::ops::Range<u8> = 20..24;
const VERSION: [u8; 2] = [0xfe, 0xfd];
const HANDSHAKE: u8 = 22;
const HELLO_VERIFY_REQUEST: u8 = 3;

fn rng() -> Outcome<Rng> {
    let seed = match env::var(SEED) {
        Ok(seed) => seed.parse()?,
        Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos()),
    };
    println!("replay with {SEED}={seed}");
    Ok(Rng::with_seed(seed))
}

fn noise(rng: &mut Rng, longest: usize) -> Vec<u8> {
    let length = rng.usize(0..=longest);
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// Noise, half of it with the head of a DTLS record whose length is right.
fn datagram(rng: &mut Rng) -> Vec<u8> {
    let content = noise(rng, 1200);
    if rng.bool() {
        return content;
    }
    let length = u16::try_from(content.len()).unwrap_or(0).to_be_bytes();
    let mut record = vec![rng.u8(RECORD_TYPES)];
    record.extend(VERSION);
    record.extend(rng.u64(..).to_be_bytes());
    record.extend(length);
    record.extend(content);
    record
}

/// A real ClientHello with a few bytes changed, or cut short.
fn client_hello(rng: &mut Rng, whole: &[u8]) -> Vec<u8> {
    let mut hello = whole.to_vec();
    for _ in 0..rng.usize(1..8) {
        if let Some(byte) = rng.choice(&mut hello) {
            *byte = rng.u8(..);
        }
    }
    let length = if rng.bool() {
        hello.len()
    } else {
        rng.usize(..hello.len())
    };
    hello.truncate(length);
    hello
}

/// Noise, noise behind the head of a CoAP message, or a PUT with a noisy body.
fn message(rng: &mut Rng) -> Vec<u8> {
    let id = rng.u16(..).to_be_bytes();
    match rng.u8(0..3) {
        0 => noise(rng, 1000),
        1 => [
            &[0x40 | rng.u8(0..0x40), rng.u8(..)],
            &id[..],
            &noise(rng, 200),
        ]
        .concat(),
        _ => {
            let request = put("noise", rng.u32(..), &noise(rng, 200));
            Message {
                message_type: MessageType::NonConfirmable,
                code: request.method,
                message_id: coap::MessageId(u16::from_be_bytes(id)),
                token: coap::Token::EMPTY,
                options: request.options,
                payload: request.payload,
            }
            .encode()
        }
    }
}

/// A round trip: what was sent before it has been dealt with.
fn settle(legit: &mut Legit) -> Outcome {
    let response = legit.peer.ask(&get("nobody", 1))?;
    assert_eq!(response.code, Code::NOT_FOUND);
    Ok(())
}

/// All datagrams that have come.
fn answers(socket: &UdpSocket) -> Outcome<Vec<Vec<u8>>> {
    socket.set_nonblocking(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let next = || {
        let length = socket.recv(&mut buffer).ok()?;
        Some(buffer.get(..length)?.to_vec())
    };
    Ok(std::iter::from_fn(next).collect())
}

/// What is no ClientHello gets silence, and what is one gets a cookie that is
/// shorter (RFC 6347 §4.2.1).
#[test]
fn noise_on_the_port_gets_silence_and_no_memory() -> Outcome {
    isolated(&[], || {
        let mut rng = rng()?;
        let site = Site::new()?;
        let mut server = site.start()?;
        let mut legit = Legit::new(&site)?;
        let before = site.ask("sessions")?;
        let [of_noise, of_hellos] = [
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        ];
        let hello = real_client_hello(&site)?;
        for number in 0..DATAGRAMS {
            of_noise.send_to(&datagram(&mut rng), SERVER_V4)?;
            of_hellos.send_to(&client_hello(&mut rng, &hello), SERVER_V4)?;
            // The same address as a session's, but not of it.
            legit.peer.socket.send(&datagram(&mut rng))?;
            if number % BATCH == 0 {
                settle(&mut legit)?;
                for answer in answers(&of_hellos)? {
                    assert_eq!((answer[0], answer[13]), (HANDSHAKE, HELLO_VERIFY_REQUEST));
                    assert!(answer.len() < hello.len());
                }
            }
        }
        settle(&mut legit)?;
        assert_eq!(answers(&of_noise)?, Vec::<Vec<u8>>::new());
        assert_eq!(site.ask("sessions")?["sessions"], before["sessions"]);
        legit.check(&site, &mut server)?;
        assert_no_secret_in(&server.kill()?, &site)
    })
}

/// The first datagram of a handshake, which goes elsewhere.
fn real_client_hello(site: &Site) -> Outcome<Vec<u8>> {
    let ear = UdpSocket::bind("127.0.0.1:0")?;
    ear.set_read_timeout(Some(PATIENCE))?;
    let _client = Peer::begin(
        &site.identity("pki", "home"),
        &ear.local_addr()?.to_string(),
    )?;
    let mut buffer = vec![0; 4096];
    let length = ear.recv(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// RFC 7252 §4.2, §4.3: what is no message is rejected or ignored, and what is a request is refused.
#[test]
fn noise_in_a_session_gets_silence_reset_or_refusal_and_the_session_goes_on() -> Outcome {
    isolated(&[], || {
        let mut rng = rng()?;
        let site = Site::new()?;
        let mut server = site.start()?;
        let mut legit = Legit::new(&site)?;
        let mut noisy = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        let before = site.ask("sessions")?;
        let mut answers = 0;
        for number in 0..DATAGRAMS {
            noisy.send(&message(&mut rng))?;
            if number % BATCH == 0 {
                settle(&mut legit)?;
                for answer in noisy.remains()? {
                    answers += 1;
                    let class = answer.code.class();
                    let is_reset = answer.message_type == MessageType::Reset;
                    // Acknowledged, where the answer itself takes longer.
                    let is_empty = answer.code == Code::EMPTY;
                    assert!(is_reset || is_empty || class == 4, "{answer:?}");
                }
            }
        }
        assert!(answers > 0, "not one was even refused");
        noisy.remains()?;
        let probe = Outgoing::new(Code::GET, ".well-known/dots/mitigate/cuid=noise");
        assert_eq!(noisy.ask(&probe)?.code, Code::NOT_FOUND);
        assert_eq!(site.ask("sessions")?["sessions"], before["sessions"]);
        legit.check(&site, &mut server)
    })
}
