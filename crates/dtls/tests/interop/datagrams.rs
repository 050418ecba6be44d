//! DTLS over real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use dtls::{
    Accept, Acceptor, CertificateFault, CertificateProblem, CloseReason, OpensslSession, Output,
    ResumptionState, Role, Session, X509Code,
};

use crate::common::pair::SEED;
use crate::common::pki::{
    self, Ca, PSK, PSK_IDENTITY, Profile, SERVER_NAME, psk_client, psk_server,
};
use crate::program::Program;
use crate::{PATIENCE, closed, common, data, established, ports};

/// Receives one datagram, or nothing for a moment.
pub(crate) fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = vec![0; 65536];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    buffer.truncate(length);
    Some((buffer, from))
}

pub(crate) fn bind() -> UdpSocket {
    let _ports = ports();
    bind_locked()
}

fn bind_locked() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    socket
}

/// Runs a session over the socket until it yields an output that `wanted` picks.
pub(crate) fn run<T>(
    session: &mut dyn Session<Resumption = ResumptionState>,
    socket: &UdpSocket,
    peer: SocketAddr,
    mut wanted: impl FnMut(Output) -> Option<T>,
) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        while let Some(output) = session.poll_output() {
            if let Output::Transmit(datagram) = &output {
                socket.send_to(datagram, peer).unwrap();
            } else if let Some(found) = wanted(output) {
                return found;
            }
        }
        assert!(Instant::now() < until, "nothing happened");
        if let Some((datagram, _)) = receive(socket) {
            session.handle_datagram(Instant::now(), &datagram);
        }
        if session
            .poll_timeout()
            .is_some_and(|due| due <= Instant::now())
        {
            session.handle_timeout(Instant::now());
        }
    }
}

/// Waits for a client to pass the door.
pub(crate) fn accept(
    acceptor: &mut Acceptor,
    socket: &UdpSocket,
) -> (Box<OpensslSession>, SocketAddr) {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no ClientHello");
        let Some((datagram, from)) = receive(socket) else {
            continue;
        };
        match acceptor.handle_datagram(Instant::now(), from, &datagram) {
            Accept::Dropped(_) => {}
            Accept::Reply(reply) => {
                socket.send_to(reply, from).unwrap();
            }
            Accept::Session(session) => return (session, from),
        }
    }
}

pub(crate) fn flush(
    session: &mut dyn Session<Resumption = ResumptionState>,
    socket: &UdpSocket,
    peer: SocketAddr,
) {
    while let Some(output) = session.poll_output() {
        if let Output::Transmit(datagram) = output {
            socket.send_to(&datagram, peer).unwrap();
        }
    }
}

///
#[test]
fn openssl_s_client_talks_to_the_acceptor() {
    let (server, client) = pki::server_and_client();
    let socket = bind();
    let port = socket.local_addr().unwrap().port().to_string();
    let Some(mut openssl) = Program::openssl(
        "s_client",
        &client,
        &[
            "-dtls1_2",
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-servername",
            SERVER_NAME,
            "-verify_hostname",
            SERVER_NAME,
        ],
    ) else {
        return;
    };

    let mut acceptor = Acceptor::new(server.server_config(), &SEED, Instant::now());
    let (mut session, peer) = accept(&mut acceptor, &socket);
    assert!(!run(&mut *session, &socket, peer, established).resumed);
    openssl.say("ping");
    assert_eq!(run(&mut *session, &socket, peer, data), b"ping\n");
    session.send(Instant::now(), b"pong over DTLS\n").unwrap();
    flush(&mut *session, &socket, peer);
    openssl.hear("pong over DTLS");
    openssl.say("Q");
    assert_eq!(
        run(&mut *session, &socket, peer, closed),
        CloseReason::PeerClosed
    );
}

///
#[test]
fn a_client_talks_to_openssl_s_server_behind_its_own_cookie_door() {
    let (server, client) = pki::server_and_client();
    let ports = ports();
    let address = bind_locked().local_addr().unwrap();
    let Some(mut openssl) = Program::openssl(
        "s_server",
        &server,
        &[
            "-dtls1_2",
            "-accept",
            &address.to_string(),
            "-Verify",
            "1",
            "-listen",
            "-naccept",
            "1",
        ],
    ) else {
        return;
    };
    openssl.hear("ACCEPT");
    drop(ports);

    let socket = bind();
    let mut session = client
        .client_config()
        .connect(Instant::now(), SERVER_NAME, None)
        .unwrap();
    run(&mut session, &socket, address, established);
    session.send(Instant::now(), b"ping over DTLS\n").unwrap();
    flush(&mut session, &socket, address);
    openssl.hear("ping over DTLS");
    openssl.say("pong");
    assert_eq!(run(&mut session, &socket, address, data), b"pong\n");
    session.close(Instant::now());
    assert_eq!(
        run(&mut session, &socket, address, closed),
        CloseReason::Local
    );
    openssl.hear("DONE");
}

const PSK_HEX: &str = "61206b6579206f66203230206f63746574732e2e";

///
#[test]
fn openssl_s_client_talks_to_the_acceptor_with_a_key() {
    for cipher in [
        "ECDHE-PSK-CHACHA20-POLY1305",
        "DHE-PSK-AES256-GCM-SHA384",
        "DHE-PSK-AES128-GCM-SHA256",
    ] {
        let socket = bind();
        let address = socket.local_addr().unwrap().to_string();
        let mut arguments = vec!["s_client", "-dtls1_2", "-connect", &address];
        arguments.extend(["-psk_identity", PSK_IDENTITY, "-psk", PSK_HEX]);
        arguments.extend(["-cipher", cipher]);
        let Some(mut openssl) = Program::start("openssl", arguments) else {
            return;
        };
        let mut acceptor = Acceptor::new(psk_server(None), &SEED, Instant::now());
        let (mut session, peer) = accept(&mut acceptor, &socket);
        let credential = run(&mut *session, &socket, peer, established).credential;
        assert_eq!(credential.to_string(), "PSK identity client-1");
        openssl.say("ping");
        assert_eq!(run(&mut *session, &socket, peer, data), b"ping\n");
        openssl.say("Q");
        assert_eq!(
            run(&mut *session, &socket, peer, closed),
            CloseReason::PeerClosed
        );
    }
}

///
#[test]
fn a_client_with_a_key_talks_to_openssl_s_server() {
    let ports = ports();
    let address = bind_locked().local_addr().unwrap();
    let accept = address.to_string();
    let mut arguments = vec!["s_server", "-dtls1_2", "-accept", &accept, "-listen"];
    arguments.extend(["-nocert", "-naccept", "1"]);
    arguments.extend(["-psk_identity", PSK_IDENTITY, "-psk", PSK_HEX]);
    let Some(mut openssl) = Program::start("openssl", arguments) else {
        return;
    };
    openssl.hear("ACCEPT");
    drop(ports);
    let socket = bind();
    let mut session = psk_client(PSK_IDENTITY, PSK)
        .connect(Instant::now(), SERVER_NAME, None)
        .unwrap();
    run(&mut session, &socket, address, established);
    session.send(Instant::now(), b"ping over DTLS\n").unwrap();
    flush(&mut session, &socket, address);
    openssl.hear("ping over DTLS");
    openssl.say("pong");
    assert_eq!(run(&mut session, &socket, address, data), b"pong\n");
}

/// Our own client would not even try.
#[test]
fn a_ticket_does_not_outlive_the_clients_certificate() {
    let ca = Ca::new("test CA");
    let server = ca.issue(&Profile::server());
    let refused = CloseReason::PeerCertificate(CertificateProblem {
        peer: Role::Client,
        fault: CertificateFault::Expired(X509Code(10)),
    });
    for seconds in common::BRIEF {
        let expiry = Instant::now() + Duration::from_secs(seconds + 1);
        let client = ca.issue(&Profile {
            not_after: &pki::seconds_from_now(seconds),
            ..Profile::client()
        });
        let socket = bind();
        let address = socket.local_addr().unwrap().to_string();
        let files = tempfile::tempdir().unwrap();
        let session_file = files.path().join("session.pem");
        let session_file = session_file.to_str().unwrap();
        let mut acceptor = Acceptor::new(server.server_config(), &SEED, Instant::now());

        let Some(mut openssl) = Program::openssl(
            "s_client",
            &client,
            &["-dtls1_2", "-connect", &address, "-sess_out", session_file],
        ) else {
            return;
        };
        let (mut session, peer) = accept(&mut acceptor, &socket);
        if let Err(reason) = run(&mut *session, &socket, peer, decided) {
            assert_eq!(reason, refused);
            continue;
        }
        openssl.say("Q");
        assert_eq!(
            run(&mut *session, &socket, peer, closed),
            CloseReason::PeerClosed
        );

        common::wait_until(expiry);
        let _openssl = Program::openssl(
            "s_client",
            &client,
            &["-dtls1_2", "-connect", &address, "-sess_in", session_file],
        );
        let (mut session, peer) = accept(&mut acceptor, &socket);
        let decision = run(&mut *session, &socket, peer, decided);
        assert_eq!(decision.unwrap_err(), refused);
        return;
    }
    panic!("no handshake before the certificate had expired");
}

/// Whether a handshake succeeds.
fn decided(output: Output) -> Option<Result<(), CloseReason>> {
    match output {
        Output::Established(_) => Some(Ok(())),
        Output::Closed(reason) => Some(Err(reason)),
        other => panic!("{other:?} instead of a handshake"),
    }
}
