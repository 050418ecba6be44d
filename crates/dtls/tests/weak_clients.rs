//! Clients that offer less than RFC 9132 asks for, made with OpenSSL directly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use common::pair::{SEED, client_address};
use common::pki::{self, Identity};
use dtls::{
    Accept, Acceptor, CertificateFault, CertificateProblem, CloseReason, OpensslSession, Output,
    Role, Session,
};
use openssl::pkey::PKey;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslStream, SslVersion,
};
use openssl::x509::X509;

/// Datagrams to and from the client.
#[derive(Default)]
struct Queues {
    to_client: VecDeque<Vec<u8>>,
    to_server: VecDeque<Vec<u8>>,
}

impl Read for Queues {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self
            .to_client
            .pop_front()
            .ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Queues {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.to_server.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the server's session with such a client ends; `None` if it is established.
fn outcome(configure: impl FnOnce(&mut SslContextBuilder, &Identity)) -> Option<CloseReason> {
    let (server, client) = pki::server_and_client();
    let mut context = SslContext::builder(SslMethod::dtls_client()).unwrap();
    context.set_options(SslOptions::NO_QUERY_MTU);
    configure(&mut context, &client);
    let mut ssl = Ssl::new(&context.build()).unwrap();
    ssl.set_connect_state();
    ssl.set_mtu(1200).unwrap();
    let mut stream = SslStream::new(ssl, Queues::default()).unwrap();

    let now = common::real_now();
    let mut acceptor = Acceptor::new(server.server_config(), &SEED, now);
    let mut session: Option<Box<OpensslSession>> = None;
    let mut closed = None;
    for _ in 0..10 {
        let _ = stream.do_handshake();
        while let Some(datagram) = stream.get_mut().to_server.pop_front() {
            match &mut session {
                Some(session) => session.handle_datagram(now, &datagram),
                None => match acceptor.handle_datagram(now, client_address(), &datagram) {
                    Accept::Dropped(reason) => panic!("{reason}"),
                    Accept::Reply(reply) => stream.get_mut().to_client.push_back(reply.to_vec()),
                    Accept::Session(accepted) => session = Some(accepted),
                },
            }
        }
        while let Some(output) = session.as_mut().and_then(|session| session.poll_output()) {
            match output {
                Output::Transmit(datagram) => stream.get_mut().to_client.push_back(datagram),
                Output::Established(_) => return None,
                Output::Closed(reason) => closed = Some(reason),
                Output::Data(_) => panic!("data before the handshake"),
            }
        }
    }
    assert!(
        !stream.ssl().is_init_finished(),
        "the client believes that it was accepted"
    );
    Some(closed.expect("the handshake came to an end"))
}

fn authenticate(context: &mut SslContextBuilder, client: &Identity) {
    context
        .set_certificate(&X509::from_pem(&client.certificate).unwrap())
        .unwrap();
    context
        .set_private_key(&PKey::private_key_from_pem(&client.key).unwrap())
        .unwrap();
}

fn protocol_error(reason: Option<CloseReason>) -> &'static str {
    match reason {
        Some(CloseReason::Protocol(error)) => error.text,
        other => panic!("{other:?} is no protocol error"),
    }
}

#[test]
fn a_client_that_offers_enough_is_accepted() {
    assert_eq!(outcome(authenticate), None);
}

///
#[test]
fn a_client_without_certificate_is_refused() {
    let reason = outcome(|_, _| {});
    let fault = CertificateFault::Missing;
    assert_eq!(
        reason,
        Some(
            CertificateProblem {
                peer: Role::Client,
                fault
            }
            .into()
        )
    );
    assert_eq!(
        reason.unwrap().to_string(),
        "the client's certificate is required, but none was sent"
    );
}

///
#[test]
fn dtls_1_0_is_refused() {
    let reason = outcome(|context, client| {
        authenticate(context, client);
        context.set_security_level(0);
        context
            .set_max_proto_version(Some(SslVersion::DTLS1))
            .unwrap();
    });
    assert_eq!(protocol_error(reason), "unsupported protocol");
}

///
#[test]
fn ciphers_without_authenticated_encryption_or_ephemeral_keys_are_refused() {
    for cipher in [
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES256-SHA",
        "AES128-GCM-SHA256",
    ] {
        let reason = outcome(|context, client| {
            authenticate(context, client);
            context.set_cipher_list(cipher).unwrap();
        });
        assert_eq!(protocol_error(reason), "no shared cipher", "{cipher}");
    }
}
