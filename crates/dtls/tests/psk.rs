//! Pre-shared keys with ephemeral Diffie-Hellman, over both transports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeMap;

use common::pair::{Direction, Pair};
use common::pki::{self, Ca, PSK, PSK_IDENTITY, Profile, SERVER_NAME, psk_client, psk_server};
use common::stream::{StreamPair, join};
use dtls::{
    AlertCode, CertificateFault, CertificateProblem, CloseReason, ConfigError, Credential, Peer,
    PskIdentity, PskProblem, Role, ServerConfig, Session, SessionSettings,
};
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslVersion};
use openssl::x509::X509;

const OTHER_KEY: &[u8] = b"another key of 23 octets";
/// As long as the one that the server knows.
const UNKNOWN: &str = "client-2";

fn identity(text: &str) -> PskIdentity {
    PskIdentity::new(text).unwrap()
}

fn holder_of(text: &str) -> Peer {
    Peer {
        credential: Credential::Psk {
            identity: identity(text),
        },
        resumed: false,
    }
}

/// Covers: S-013, X-001
#[test]
fn both_ends_know_whose_key_it_is() {
    let mut datagrams = Pair::with(
        psk_server(None),
        &psk_client(PSK_IDENTITY, PSK),
        SERVER_NAME,
        None,
    );
    datagrams.settle();
    let mut stream = StreamPair::with(&psk_server(None), &psk_client(PSK_IDENTITY, PSK), None);
    stream.settle();
    for seen in [
        datagrams.client_saw,
        datagrams.server_saw,
        stream.client_saw,
        stream.server_saw,
    ] {
        let peer = seen.peer.unwrap();
        assert_eq!(peer, holder_of(PSK_IDENTITY));
        assert_eq!(
            peer.credential.fingerprint(),
            sha256(PSK_IDENTITY.as_bytes())
        );
        assert_eq!(peer.credential.to_string(), "PSK identity client-1");
    }
}

#[test]
fn data_goes_both_ways_up_to_the_limit() {
    let mut pair = Pair::with(
        psk_server(None),
        &psk_client(PSK_IDENTITY, PSK),
        SERVER_NAME,
        None,
    );
    pair.settle();
    let (now, longest) = (pair.now, vec![1; pair.client.data_limit()]);
    pair.client.send(now, &longest).unwrap();
    pair.server().send(now, b"response").unwrap();
    pair.settle();
    assert_eq!(pair.server_saw.data, [longest]);
    assert_eq!(pair.client_saw.data, [b"response"]);
    pair.client.close(now);
    pair.settle();
    assert_eq!(pair.server_saw.closed, Some(CloseReason::PeerClosed));
    assert!(
        pair.trace
            .iter()
            .all(|(_, datagram)| datagram.len() + 48 <= 1280)
    );
}

/// RFC 4279 §5.3.
#[test]
fn the_longest_identity_and_key_are_accepted() {
    let (name, key) = ("n".repeat(128), vec![0x5a; 256]);
    let keys = BTreeMap::from([(identity(&name), dtls::PskKey::new(&key).unwrap())]);
    let server = ServerConfig::with_psks(None, &keys, SessionSettings::default()).unwrap();
    let client = psk_client(&name, &key);
    let mut datagrams = Pair::with(server.clone(), &client, SERVER_NAME, None);
    datagrams.settle();
    assert_eq!(datagrams.server_saw.peer, Some(holder_of(&name)));
    let mut stream = StreamPair::with(&server, &client, None);
    stream.settle();
    assert_eq!(stream.server_saw.peer, Some(holder_of(&name)));
}

/// What a client sees of the server, message by message, and what the server says about it.
fn refused_datagrams(client: &str, key: &[u8]) -> (Vec<(Direction, usize)>, CloseReason) {
    let server = psk_server(None);
    let mut pair = Pair::with(server, &psk_client(client, key), SERVER_NAME, None);
    pair.settle();
    assert!(!pair.established());
    let over = pair.now + SessionSettings::default().handshake_deadline;
    pair.client.handle_timeout(over);
    pair.server().handle_timeout(over);
    pair.settle();
    assert_eq!(pair.client_saw.closed, Some(CloseReason::HandshakeTimedOut));
    assert_eq!(pair.server_saw.peer, None);
    let shape = pair
        .trace
        .iter()
        .map(|(direction, datagram)| (*direction, datagram.len()))
        .collect();
    (shape, pair.server_saw.closed.unwrap())
}

/// RFC 4279 §2: nobody finds out by trying which identities there are.
#[test]
fn an_unknown_identity_looks_like_a_wrong_key_over_datagrams() {
    let (wrong_shape, wrong) = refused_datagrams(PSK_IDENTITY, OTHER_KEY);
    let (unknown_shape, unknown) = refused_datagrams(UNKNOWN, OTHER_KEY);
    assert_eq!(wrong_shape, unknown_shape);
    let name = identity(PSK_IDENTITY);
    assert_eq!(wrong, PskProblem::WrongKey { identity: name }.into());
    let name = identity(UNKNOWN);
    assert_eq!(
        unknown,
        PskProblem::UnknownIdentity { identity: name }.into()
    );
    assert_eq!(
        unknown.to_string(),
        "the client names the unknown PSK identity client-2"
    );
}

#[test]
fn an_unknown_identity_looks_like_a_wrong_key_over_a_stream() {
    let refused = |client, certificates: Option<&pki::Identity>| {
        let server = psk_server(certificates);
        let mut pair = StreamPair::with(&server, &psk_client(client, OTHER_KEY), None);
        pair.settle();
        let reasons = (
            pair.client_saw.closed_without_session(),
            pair.server_saw.closed_without_session(),
        );
        (reasons, pair.sent_to_client)
    };
    let (certified, _) = pki::server_and_client();
    for certificates in [None, Some(&certified)] {
        let ((wrong_told, wrong), wrong_length) = refused(PSK_IDENTITY, certificates);
        let ((unknown_told, unknown), unknown_length) = refused(UNKNOWN, certificates);
        assert_eq!((wrong_length, &wrong_told), (unknown_length, &unknown_told));
        let alert = AlertCode::DECRYPT_ERROR;
        let peer = Role::Server;
        assert_eq!(wrong_told, CloseReason::Alert { peer, alert });
        assert!(matches!(
            wrong,
            CloseReason::PeerPsk(PskProblem::WrongKey { .. })
        ));
        assert!(matches!(
            unknown,
            CloseReason::PeerPsk(PskProblem::UnknownIdentity { .. })
        ));
    }
}

/// The same with TLS 1.2, which names the identity after the key exchange. Also: names that nobody can have.
#[test]
fn all_refusals_look_the_same_with_tls_1_2() {
    let refused = |name: &'static [u8]| {
        let mut client = SslContext::builder(SslMethod::tls_client()).unwrap();
        client
            .set_max_proto_version(Some(SslVersion::TLS1_2))
            .unwrap();
        client.set_cipher_list("PSK").unwrap();
        client.set_alpn_protos(b"\x04coap").unwrap();
        client.set_psk_client_callback(|_, _, identity, secret| {
            identity[..name.len()].copy_from_slice(name);
            identity[name.len()] = 0;
            secret[..OTHER_KEY.len()].copy_from_slice(OTHER_KEY);
            Ok(OTHER_KEY.len())
        });
        let mut session = psk_server(None).accept_stream(common::real_now()).unwrap();
        let (stream, seen) = join(&mut session, &client.build(), |ssl| ssl.set_connect_state());
        assert!(!stream.ssl().is_init_finished());
        let told = stream.ssl().state_string_long().to_owned();
        (told, seen.closed_without_session())
    };
    let (wrong_told, wrong) = refused(PSK_IDENTITY.as_bytes());
    let (unknown_told, unknown) = refused(UNKNOWN.as_bytes());
    let (malformed_told, malformed) = refused(b"\xff\xfe");
    assert_eq!(wrong_told, unknown_told);
    assert_eq!(wrong_told, malformed_told);
    let problems = [wrong, unknown, malformed].map(|reason| match reason {
        CloseReason::PeerPsk(problem) => problem,
        other => panic!("{other:?}"),
    });
    let [wrong, unknown] = [PSK_IDENTITY, UNKNOWN].map(identity);
    assert_eq!(
        problems,
        [
            PskProblem::WrongKey { identity: wrong },
            PskProblem::UnknownIdentity { identity: unknown },
            PskProblem::MalformedIdentity,
        ]
    );
}

///
#[test]
fn a_session_is_resumed_and_the_server_still_knows_the_client() {
    let (server, client) = (psk_server(None), psk_client(PSK_IDENTITY, PSK));
    let mut first = Pair::with(server.clone(), &client, SERVER_NAME, None);
    first.settle();
    let state = first.client.resumption().unwrap();
    let mut second = Pair::with(server, &client, SERVER_NAME, Some(&state));
    second.settle();
    for seen in [second.client_saw, second.server_saw] {
        let peer = seen.peer.unwrap();
        assert!(peer.resumed);
        assert_eq!(peer.credential, holder_of(PSK_IDENTITY).credential);
    }
}

/// A context of OpenSSL for TLS 1.3 with this key.
fn plain_client(name: &'static str) -> SslContextBuilder {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_alpn_protos(b"\x04coap").unwrap();
    context.set_psk_client_callback(move |_, _, identity, secret| {
        identity[..name.len()].copy_from_slice(name.as_bytes());
        secret[..PSK.len()].copy_from_slice(PSK);
        Ok(PSK.len())
    });
    context
}

/// Such a ticket would not say whose it is.
#[test]
fn a_stream_with_a_key_brings_no_ticket() {
    let context = plain_client(PSK_IDENTITY).build();
    let mut session = psk_server(None).accept_stream(common::real_now()).unwrap();
    let (stream, seen) = join(&mut session, &context, |ssl| ssl.set_connect_state());
    assert_eq!(seen.peer, Some(holder_of(PSK_IDENTITY)));
    assert_eq!(stream.ssl().version2(), Some(SslVersion::TLS1_3));
    assert!(stream.ssl().session().unwrap().id().is_empty());
}

#[test]
fn a_ticket_for_a_stream_with_a_key_is_not_kept() {
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_alpn_select_callback(|_, _| Ok(b"coap"));
    context.set_psk_server_callback(|_, _, secret| {
        secret[..PSK.len()].copy_from_slice(PSK);
        Ok(PSK.len())
    });
    let config = psk_client(PSK_IDENTITY, PSK);
    let now = common::real_now();
    let mut session = config.connect_stream(now, SERVER_NAME, None).unwrap();
    let (stream, seen) = join(&mut session, &context.build(), |ssl| ssl.set_accept_state());
    assert_eq!(seen.peer, Some(holder_of(PSK_IDENTITY)));
    assert_eq!(stream.ssl().version2(), Some(SslVersion::TLS1_3));
    assert!(session.resumption().is_none());
}

/// TLS 1.3 has tickets and identities in one list.
#[test]
fn what_is_too_long_for_an_identity_may_be_a_ticket() {
    let (server, client) = pki::server_and_client();
    let name = "a-ticket-of-another-server-is-what-this-stands-for-and-it-is-longer-than-any-name-of-a-key-\
                may-be-which-is-one-hundred-and-twenty-eight-octets";
    let mut context = plain_client(name);
    context
        .set_certificate(&X509::from_pem(&client.certificate).unwrap())
        .unwrap();
    context
        .set_private_key(&PKey::private_key_from_pem(&client.key).unwrap())
        .unwrap();
    let config = psk_server(Some(&server));
    let mut session = config.accept_stream(common::real_now()).unwrap();
    let (_, seen) = join(&mut session, &context.build(), |ssl| {
        ssl.set_connect_state();
    });
    let peer = seen.peer.expect("a full handshake");
    assert_eq!(peer.credential.to_string(), "CN=client-1, O=Example");
}

#[test]
fn one_server_takes_keys_and_certificates() {
    let (server, client) = pki::server_and_client();
    let config = psk_server(Some(&server));
    for client in [client.client_config(), psk_client(PSK_IDENTITY, PSK)] {
        let mut datagrams = Pair::with(config.clone(), &client, SERVER_NAME, None);
        datagrams.settle();
        let mut stream = StreamPair::with(&config, &client, None);
        stream.settle();
        assert!(stream.established());
        let kinds = [&datagrams.server_saw, &stream.server_saw]
            .map(|seen| seen.peer.clone().unwrap().credential);
        assert_eq!(kinds[0], kinds[1]);
        let resumption = [datagrams.client.resumption(), stream.client.resumption()];
        let is_psk = matches!(kinds[0], Credential::Psk { .. });
        assert_eq!(resumption[1].is_none(), is_psk);
        // Tickets and identities arrive in one list with TLS 1.3, and must not be mistaken for each other.
        let mut again = StreamPair::with(&config, &client, resumption[1].as_ref());
        again.settle();
        assert_eq!(again.server_saw.peer.unwrap().resumed, !is_psk);
        let mut again = Pair::with(config.clone(), &client, SERVER_NAME, resumption[0].as_ref());
        again.settle();
        assert!(again.server_saw.peer.unwrap().resumed);
    }
}

/// The ticket of a server that has restarted with other keys is no identity either.
#[test]
fn an_old_ticket_leads_to_a_full_handshake() {
    let (server, client) = pki::server_and_client();
    let client = client.client_config();
    let mut first = StreamPair::with(&psk_server(Some(&server)), &client, None);
    first.settle();
    let state = first.client.resumption();
    assert!(state.is_some());
    let mut second = StreamPair::with(&psk_server(Some(&server)), &client, state.as_ref());
    second.settle();
    assert!(!second.server_saw.peer.unwrap().resumed);
}

///
#[test]
fn a_client_without_certificate_gets_nothing_from_a_server_with_both() {
    let (server, _) = pki::server_and_client();
    let config = psk_server(Some(&server));
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_alpn_protos(b"\x04coap").unwrap();
    let context = context.build();
    let mut session = config.accept_stream(common::real_now()).unwrap();
    let (_, seen) = join(&mut session, &context, |ssl| ssl.set_connect_state());
    let fault = CertificateFault::Missing;
    let peer = Role::Client;
    assert_eq!(
        seen.closed_without_session(),
        CertificateProblem { peer, fault }.into()
    );
}

/// A key says that it is the right server; a certificate of anybody does not.
#[test]
fn a_client_with_a_key_accepts_no_certificate() {
    let ca = Ca::new("test CA");
    let server = ca.issue(&Profile::server()).server_config();
    let client = psk_client(PSK_IDENTITY, PSK);
    let mut datagrams = Pair::with(server.clone(), &client, SERVER_NAME, None);
    datagrams.settle();
    assert_eq!(datagrams.client_saw.peer, None);
    assert!(datagrams.client_saw.closed.is_some());
    let mut stream = StreamPair::with(&server, &client, None);
    stream.settle();
    let CloseReason::PeerCertificate(problem) = stream.client_saw.closed_without_session() else {
        panic!("{:?}", stream.client_saw.closed);
    };
    assert!(matches!(problem.fault, CertificateFault::NotTrusted(_)));
    assert_eq!(stream.server_saw.peer, None);
}

#[test]
fn a_server_that_could_accept_nobody_is_not_made() {
    let made = ServerConfig::with_psks(None, &BTreeMap::new(), SessionSettings::default());
    assert!(matches!(made, Err(ConfigError::NoCredentials)));
}

#[test]
fn no_key_shows_in_debug_output() {
    let config = psk_client(PSK_IDENTITY, b"do-not-show-me-anywhere");
    let pair = Pair::with(psk_server(None), &config, SERVER_NAME, None);
    for text in [
        format!("{config:?}"),
        format!("{:?}", pair.client),
        format!("{:?}", pair.acceptor),
    ] {
        assert!(!text.contains("show"), "{text}");
    }
}
