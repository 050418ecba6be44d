//! TLS over real connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use dtls::{CloseReason, Output, ResumptionState, Role, Session};

use crate::common::pki::{self, PSK, PSK_IDENTITY, SERVER_NAME, psk_client, psk_server};
use crate::program::Program;
use crate::{PATIENCE, closed, data, established, ports};

pub(crate) fn listen() -> TcpListener {
    let _ports = ports();
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Waits for a client.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((connection, _)) => {
                connection.set_nonblocking(false).unwrap();
                return prepared(connection);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(Instant::now() < until, "no connection");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn prepared(connection: TcpStream) -> TcpStream {
    connection
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    connection
}

/// Runs a session over the connection until it yields an output that `wanted` picks.
pub(crate) fn run<T>(
    session: &mut dyn Session<Resumption = ResumptionState>,
    connection: &mut TcpStream,
    mut wanted: impl FnMut(Output) -> Option<T>,
) -> T {
    let until = Instant::now() + PATIENCE;
    let mut buffer = vec![0; 65536];
    loop {
        while let Some(output) = session.poll_output() {
            if let Output::Transmit(octets) = &output {
                // A peer that is gone already says so when it is read from.
                let _ = connection.write_all(octets);
            } else if let Some(found) = wanted(output) {
                return found;
            }
        }
        assert!(Instant::now() < until, "nothing happened");
        match connection.read(&mut buffer) {
            Ok(length) => session.handle_datagram(Instant::now(), &buffer[..length]),
            Err(error) => assert!(matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut
            )),
        }
    }
}

pub(crate) fn flush(
    session: &mut dyn Session<Resumption = ResumptionState>,
    connection: &mut TcpStream,
) {
    while let Some(output) = session.poll_output() {
        if let Output::Transmit(octets) = output {
            connection.write_all(&octets).unwrap();
        }
    }
}

/// Covers: S-003, X-001, X-002, X-003
#[test]
fn openssl_s_client_talks_tls_with_the_server() {
    let (server, client) = pki::server_and_client();
    for version in ["-tls1_2", "-tls1_3"] {
        let listener = listen();
        let address = listener.local_addr().unwrap().to_string();
        let arguments = [
            version,
            "-alpn",
            "coap",
            "-connect",
            &address,
            "-servername",
            SERVER_NAME,
            "-verify_hostname",
            SERVER_NAME,
        ];
        let Some(mut openssl) = Program::openssl("s_client", &client, &arguments) else {
            return;
        };
        let mut connection = accept(&listener);
        let config = server.server_config();
        let mut session = config.accept_stream(Instant::now()).unwrap();
        assert!(!run(&mut session, &mut connection, established).resumed);
        openssl.hear("ALPN protocol: coap");
        openssl.say("ping");
        assert_eq!(run(&mut session, &mut connection, data), b"ping\n");
        session.send(Instant::now(), b"pong over TLS\n").unwrap();
        flush(&mut session, &mut connection);
        openssl.hear("pong over TLS");
        openssl.say("Q");
        let reason = run(&mut session, &mut connection, closed);
        assert_eq!(reason, CloseReason::PeerClosed);
    }
}

/// Covers: S-003
#[test]
fn openssl_s_client_without_alpn_is_refused() {
    let (server, client) = pki::server_and_client();
    let listener = listen();
    let address = listener.local_addr().unwrap().to_string();
    let arguments = ["-tls1_3", "-connect", &address];
    let Some(_openssl) = Program::openssl("s_client", &client, &arguments) else {
        return;
    };
    let mut connection = accept(&listener);
    let config = server.server_config();
    let mut session = config.accept_stream(Instant::now()).unwrap();
    let peer = Role::Client;
    assert_eq!(
        run(&mut session, &mut connection, closed),
        CloseReason::NoAlpn { peer }
    );
}

///
#[test]
fn a_client_with_a_key_talks_tls_with_openssl_s_server() {
    for version in ["-tls1_2", "-tls1_3"] {
        let ports = ports();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let accept = address.unwrap().to_string();
        let mut arguments = vec!["s_server", version, "-accept", &accept];
        arguments.extend(["-alpn", "coap", "-nocert", "-naccept", "1"]);
        arguments.extend(["-psk_identity", PSK_IDENTITY]);
        arguments.extend(["-psk", "61206b6579206f66203230206f63746574732e2e"]);
        let Some(mut openssl) = Program::start("openssl", arguments) else {
            return;
        };
        openssl.hear("ACCEPT");
        drop(ports);
        let mut connection = prepared(TcpStream::connect(&accept).unwrap());
        let config = psk_client(PSK_IDENTITY, PSK);
        let mut session = config
            .connect_stream(Instant::now(), SERVER_NAME, None)
            .unwrap();
        run(&mut session, &mut connection, established);
        session.send(Instant::now(), b"ping over TLS\n").unwrap();
        flush(&mut session, &mut connection);
        openssl.hear("ping over TLS");
        openssl.say("pong");
        assert_eq!(run(&mut session, &mut connection, data), b"pong\n");
        session.close(Instant::now());
        run(&mut session, &mut connection, closed);
    }
}

///
#[test]
fn openssl_s_client_talks_tls_with_a_key() {
    for version in ["-tls1_2", "-tls1_3"] {
        let listener = listen();
        let address = listener.local_addr().unwrap().to_string();
        let mut arguments = vec!["s_client", version, "-connect", &address, "-alpn", "coap"];
        arguments.extend(["-psk_identity", PSK_IDENTITY]);
        arguments.extend(["-psk", "61206b6579206f66203230206f63746574732e2e"]);
        let Some(mut openssl) = Program::start("openssl", arguments) else {
            return;
        };
        let mut connection = accept(&listener);
        let (certified, _) = pki::server_and_client();
        let config = psk_server(Some(&certified));
        let mut session = config.accept_stream(Instant::now()).unwrap();
        let peer = run(&mut session, &mut connection, established);
        assert_eq!(peer.credential.to_string(), "PSK identity client-1");
        openssl.say("ping");
        assert_eq!(run(&mut session, &mut connection, data), b"ping\n");
    }
}
