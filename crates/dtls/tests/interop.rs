//! The `openssl` program on the other end, over loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the other end is a process with real sockets and a real clock"
)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::pair::SEED;
use common::pki::{self, Ca, Identity, Profile, SERVER_NAME};
use dtls::{
    Accept, Acceptor, CertificateFault, CertificateProblem, CloseReason, OpensslSession, Output,
    ResumptionState, Role, Session, X509Code,
};

const PATIENCE: Duration = Duration::from_secs(15);

/// An `openssl` process whose output is read line by line; it ends with this value.
struct Openssl {
    child: Child,
    lines: Receiver<String>,
    _files: tempfile::TempDir,
}

impl Openssl {
    /// `None`, with a word about it, if there is no such program.
    fn start(command: &str, identity: &Identity, arguments: &[&str]) -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str, pem: &[u8]| {
            let path = files.path().join(name);
            fs::write(&path, pem).unwrap();
            path
        };
        let spawned = Command::new("openssl")
            .args([command, "-dtls1_2", "-verify_return_error"])
            .args([Path::new("-cert"), &path("cert.pem", &identity.certificate)])
            .args([Path::new("-key"), &path("key.pem", &identity.key)])
            .args([Path::new("-CAfile"), &path("ca.pem", &identity.anchors)])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = spawned else {
            println!("skipped: there is no openssl program to talk to");
            return None;
        };
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Some(Self {
            child,
            lines,
            _files: files,
        })
    }

    fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        input.flush().unwrap();
    }

    fn hear(&self, wanted: &str) {
        let until = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Ok(line) = self
            .lines
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if line.contains(wanted) {
                return;
            }
            heard.push(line);
        }
        panic!("openssl did not say {wanted:?}, but {heard:#?}");
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Receives one datagram, or nothing for a moment.
fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = vec![0; 65536];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    buffer.truncate(length);
    Some((buffer, from))
}

/// Held while a port has been found free but not taken yet.
static PORTS: Mutex<()> = Mutex::new(());

fn ports() -> MutexGuard<'static, ()> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bind() -> UdpSocket {
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
fn run<T>(
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
fn accept(acceptor: &mut Acceptor, socket: &UdpSocket) -> (Box<OpensslSession>, SocketAddr) {
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

fn flush(
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

fn established(output: Output) -> Option<dtls::Peer> {
    match output {
        Output::Established(peer) => Some(peer),
        other => panic!("{other:?} instead of a handshake"),
    }
}

fn data(output: Output) -> Option<Vec<u8>> {
    match output {
        Output::Data(data) => Some(data),
        other => panic!("{other:?} instead of data"),
    }
}

fn closed(output: Output) -> Option<CloseReason> {
    match output {
        Output::Closed(reason) => Some(reason),
        _ => None,
    }
}

///
#[test]
fn openssl_s_client_talks_to_the_acceptor() {
    let (server, client) = pki::server_and_client();
    let socket = bind();
    let port = socket.local_addr().unwrap().port().to_string();
    let Some(mut openssl) = Openssl::start(
        "s_client",
        &client,
        &[
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
    let Some(mut openssl) = Openssl::start(
        "s_server",
        &server,
        &[
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

/// Our own client would not even try.
#[test]
fn a_ticket_does_not_outlive_the_clients_certificate() {
    let ca = Ca::new("test CA");
    let server = ca.issue(&Profile::server());
    let expiry = Instant::now() + Duration::from_secs(2);
    let client = ca.issue(&Profile {
        not_after: &pki::seconds_from_now(1),
        ..Profile::client()
    });
    let socket = bind();
    let address = socket.local_addr().unwrap().to_string();
    let files = tempfile::tempdir().unwrap();
    let session_file = files.path().join("session.pem");
    let session_file = session_file.to_str().unwrap();
    let mut acceptor = Acceptor::new(server.server_config(), &SEED, Instant::now());

    let Some(mut openssl) = Openssl::start(
        "s_client",
        &client,
        &["-connect", &address, "-sess_out", session_file],
    ) else {
        return;
    };
    let (mut session, peer) = accept(&mut acceptor, &socket);
    run(&mut *session, &socket, peer, established);
    openssl.say("Q");
    assert_eq!(
        run(&mut *session, &socket, peer, closed),
        CloseReason::PeerClosed
    );

    common::wait_until(expiry);
    let _openssl = Openssl::start(
        "s_client",
        &client,
        &["-connect", &address, "-sess_in", session_file],
    );
    let (mut session, peer) = accept(&mut acceptor, &socket);
    let fault = CertificateFault::Expired(X509Code(10));
    let refused = CloseReason::PeerCertificate(CertificateProblem {
        peer: Role::Client,
        fault,
    });
    assert_eq!(
        run(&mut *session, &socket, peer, closed_unestablished),
        refused
    );
}

fn closed_unestablished(output: Output) -> Option<CloseReason> {
    match output {
        Output::Closed(reason) => Some(reason),
        other => panic!("{other:?} from a client whose certificate has expired"),
    }
}
