//! The clients of libcoap, with as much of a CoAP server as they need to be content.

use std::time::Instant;

use dtls::{Acceptor, Session};

use crate::common::pair::SEED;
use crate::common::pki::{PSK, PSK_IDENTITY, psk_server};
use crate::program::Program;
use crate::{PATIENCE, data, datagrams, established, streams};

const CLIENTS: [&str; 2] = ["coap-client-openssl", "coap-client-gnutls"];

fn start(client: &'static str, scheme: &str, port: u16) -> Option<Program> {
    let key = str::from_utf8(PSK).unwrap();
    let patience = PATIENCE.as_secs().to_string();
    let uri = format!("{scheme}://127.0.0.1:{port}/x");
    let arguments = ["-u", PSK_IDENTITY, "-k", key, "-w", "-B", &patience, &uri];
    Program::start(client, arguments)
}

///
#[test]
fn libcoap_asks_over_dtls_with_a_key() {
    for client in CLIENTS {
        let socket = datagrams::bind();
        let port = socket.local_addr().unwrap().port();
        let Some(program) = start(client, "coaps", port) else {
            continue;
        };
        let mut acceptor = Acceptor::new(psk_server(None), &SEED, Instant::now());
        let (mut session, peer) = datagrams::accept(&mut acceptor, &socket);
        datagrams::run(&mut *session, &socket, peer, established);
        let request = datagrams::run(&mut *session, &socket, peer, data);
        // An acknowledgement with 2.05 and the payload (RFC 7252 §3).
        let token_length = usize::from(request[0] & 15);
        let message_id_and_token = &request[2..4 + token_length];
        let head = [0x60 | (request[0] & 15), 0x45];
        let response = [&head[..], message_id_and_token, b"\xffhello libcoap"].concat();
        session.send(Instant::now(), &response).unwrap();
        datagrams::flush(&mut *session, &socket, peer);
        program.hear("hello libcoap");
    }
}

/// Covers: S-003, X-004, X-006
#[test]
fn libcoap_asks_over_tls_with_a_key() {
    for client in CLIENTS {
        let listener = streams::listen();
        let port = listener.local_addr().unwrap().port();
        let Some(program) = start(client, "coaps+tcp", port) else {
            continue;
        };
        let mut connection = streams::accept(&listener);
        let config = psk_server(None);
        let mut session = config.accept_stream(Instant::now()).unwrap();
        streams::run(&mut session, &mut connection, established);
        // A CSM without options (RFC 8323 §5.3).
        session.send(Instant::now(), &[0x00, 0xe1]).unwrap();
        let mut heard = Vec::new();
        let token = loop {
            heard.extend(streams::run(&mut session, &mut connection, data));
            if let Some(token) = token_of_get(&heard) {
                break token;
            }
        };
        let payload = b"\xffhello libcoap";
        let token_length = u8::try_from(token.len()).unwrap();
        let extended = u8::try_from(payload.len() - 13).unwrap();
        let head = [0xd0 | token_length, extended, 0x45];
        let response = [&head[..], &token, payload].concat();
        session.send(Instant::now(), &response).unwrap();
        streams::flush(&mut session, &mut connection);
        program.hear("hello libcoap");
    }
}

/// Finds a GET among the messages of a stream (RFC 8323 §3.2).
fn token_of_get(mut octets: &[u8]) -> Option<Vec<u8>> {
    loop {
        let first = *octets.first()?;
        let (length, header) = match first >> 4 {
            13 => (13 + usize::from(*octets.get(1)?), 3),
            length => (usize::from(length), 2),
        };
        let token = octets.get(header..header + usize::from(first & 15))?;
        if *octets.get(header - 1)? == 1 {
            return Some(token.to_vec());
        }
        octets = octets.get(header + token.len() + length..)?;
    }
}
