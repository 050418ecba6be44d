//! Which peers a session over a connection accepts. Covers: S-003
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::pki::{self, Ca, PSK, PSK_IDENTITY, Profile, SERVER_NAME, psk_server};
use common::stream::{StreamPair, join};
use dtls::{CertificateFault, CertificateProblem, CloseReason, Role, X509Code};
use openssl::pkey::PKey;
use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslOptions, SslVersion};
use openssl::x509::X509;

fn certificate_of(context: &mut SslContextBuilder, identity: &pki::Identity) {
    context
        .set_certificate(&X509::from_pem(&identity.certificate).unwrap())
        .unwrap();
    context
        .set_private_key(&PKey::private_key_from_pem(&identity.key).unwrap())
        .unwrap();
}

/// How a server's session with such a client ends; `None` if it is established.
fn outcome_of_client(configure: impl FnOnce(&mut SslContextBuilder)) -> Option<CloseReason> {
    let (server, client) = pki::server_and_client();
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    certificate_of(&mut context, &client);
    context.set_alpn_protos(b"\x04coap").unwrap();
    configure(&mut context);
    let mut session = server
        .server_config()
        .accept_stream(common::real_now())
        .unwrap();
    let (_, seen) = join(&mut session, &context.build(), |ssl| {
        ssl.set_connect_state();
    });
    assert_ne!(seen.peer.is_some(), seen.closed.is_some());
    seen.closed
}

#[test]
fn a_server_refuses_a_client_that_does_not_offer_coap() {
    let peer = Role::Client;
    assert_eq!(outcome_of_client(|_| {}), None);
    let among_others =
        outcome_of_client(|context| context.set_alpn_protos(b"\x02h2\x04coap").unwrap());
    assert_eq!(among_others, None);
    let other = outcome_of_client(|context| context.set_alpn_protos(b"\x02h2").unwrap());
    assert_eq!(other, Some(CloseReason::NoAlpn { peer }));

    let (server, client) = pki::server_and_client();
    for newest in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context.set_max_proto_version(Some(newest)).unwrap();
        certificate_of(&mut context, &client);
        let mut session = server
            .server_config()
            .accept_stream(common::real_now())
            .unwrap();
        let (_, seen) = join(&mut session, &context.build(), |ssl| {
            ssl.set_connect_state();
        });
        assert_eq!(seen.closed_without_session(), CloseReason::NoAlpn { peer });
    }
}

/// So do the clients of libcoap.
#[test]
fn a_client_with_a_key_may_leave_alpn_out() {
    for newest in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for (offered, closed) in [
            (None, None),
            (
                Some(&b"\x02h2"[..]),
                Some(CloseReason::NoAlpn { peer: Role::Client }),
            ),
        ] {
            let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
            context.set_max_proto_version(Some(newest)).unwrap();
            context.set_psk_client_callback(|_, _, identity, secret| {
                identity[..PSK_IDENTITY.len()].copy_from_slice(PSK_IDENTITY.as_bytes());
                secret[..PSK.len()].copy_from_slice(PSK);
                Ok(PSK.len())
            });
            if let Some(offered) = offered {
                context.set_alpn_protos(offered).unwrap();
            }
            let config = psk_server(None);
            let mut session = config.accept_stream(common::real_now()).unwrap();
            let (_, seen) = join(&mut session, &context.build(), |ssl| {
                ssl.set_connect_state();
            });
            assert_eq!(
                (seen.peer.is_none(), &seen.closed),
                (closed.is_some(), &closed)
            );
        }
    }
}

#[test]
fn a_client_closes_if_the_server_does_not_select_coap() {
    let (server, client) = pki::server_and_client();
    let told = |alpn: Option<&'static [u8]>| {
        let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
        certificate_of(&mut context, &server);
        if let Some(alpn) = alpn {
            // Whether it was offered or not.
            context.set_alpn_select_callback(move |_, _| Ok(alpn));
        }
        let now = common::real_now();
        let config = client.client_config();
        let mut session = config.connect_stream(now, SERVER_NAME, None).unwrap();
        let (_, seen) = join(&mut session, &context.build(), |ssl| {
            ssl.set_accept_state();
        });
        (seen.peer.is_some(), seen.closed)
    };
    let peer = Role::Server;
    assert_eq!(told(Some(b"coap")), (true, None));
    assert_eq!(told(None), (false, Some(CloseReason::NoAlpn { peer })));
    let (established, reason) = told(Some(b"h2"));
    assert!(!established && reason.is_some());
}

///
#[test]
fn tls_1_3_is_preferred_and_1_2_is_the_oldest() {
    let (server, client) = pki::server_and_client();
    for (newest, version) in [
        (SslVersion::TLS1_1, None),
        (SslVersion::TLS1_2, Some(SslVersion::TLS1_2)),
        (SslVersion::TLS1_3, Some(SslVersion::TLS1_3)),
    ] {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        certificate_of(&mut context, &client);
        context.set_security_level(0);
        context.set_alpn_protos(b"\x04coap").unwrap();
        context.set_max_proto_version(Some(newest)).unwrap();
        let mut session = server
            .server_config()
            .accept_stream(common::real_now())
            .unwrap();
        let (stream, seen) = join(&mut session, &context.build(), |ssl| {
            ssl.set_connect_state();
        });
        let agreed = seen.peer.and_then(|_| stream.ssl().version2());
        assert_eq!(agreed, version);
    }
}

///
#[test]
fn ciphers_without_authenticated_encryption_or_ephemeral_keys_are_refused() {
    for cipher in ["ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256"] {
        let reason = outcome_of_client(|context| {
            context.set_options(SslOptions::NO_TLSV1_3);
            context.set_cipher_list(cipher).unwrap();
        });
        let Some(CloseReason::Protocol(error)) = reason else {
            panic!("{cipher}: {reason:?}");
        };
        assert_eq!(error.text, "no shared cipher", "{cipher}");
    }
}

///
#[test]
fn certificates_are_checked_as_over_datagrams() {
    let (ca, other_ca) = (Ca::new("test CA"), Ca::new("other CA"));
    let (server, client) = (ca.issue(&Profile::server()), ca.issue(&Profile::client()));
    let expired = |profile| {
        ca.issue(&Profile {
            not_after: "20200201000000Z",
            ..profile
        })
    };
    let misnamed = ca.issue(&Profile {
        dns_names: vec!["dots.other.example".to_owned()],
        ..Profile::server()
    });
    let strange = |profile: &Profile<'_>| pki::Identity {
        anchors: ca.pem(),
        ..other_ca.issue(profile)
    };
    let name = SERVER_NAME.to_owned();
    let (alien_server, alien_client) = (strange(&Profile::server()), strange(&Profile::client()));
    let (late_server, late_client) = (expired(Profile::server()), expired(Profile::client()));
    for (server, client, peer, fault) in [
        (
            &alien_server,
            &client,
            Role::Server,
            CertificateFault::NotTrusted(X509Code(20)),
        ),
        (
            &late_server,
            &client,
            Role::Server,
            CertificateFault::Expired(X509Code(10)),
        ),
        (
            &client,
            &client,
            Role::Server,
            CertificateFault::WrongPurpose(X509Code(26)),
        ),
        (
            &misnamed,
            &client,
            Role::Server,
            CertificateFault::WrongName {
                expected: name,
                code: X509Code(62),
            },
        ),
        (
            &server,
            &alien_client,
            Role::Client,
            CertificateFault::NotTrusted(X509Code(20)),
        ),
        (
            &server,
            &late_client,
            Role::Client,
            CertificateFault::Expired(X509Code(10)),
        ),
        (
            &server,
            &server,
            Role::Client,
            CertificateFault::WrongPurpose(X509Code(26)),
        ),
    ] {
        let mut pair = StreamPair::with(&server.server_config(), &client.client_config(), None);
        pair.settle();
        let problem = CloseReason::PeerCertificate(CertificateProblem { peer, fault });
        let (judge, judged) = match peer {
            Role::Server => (pair.client_saw, pair.server_saw),
            Role::Client => (pair.server_saw, pair.client_saw),
        };
        assert_eq!(judge.closed_without_session(), problem);
        assert!(
            matches!(judged.closed, Some(CloseReason::Alert { .. })),
            "{:?} after {problem}",
            judged.closed
        );
    }
}

///
#[test]
fn a_client_without_certificate_is_refused() {
    let (server, _) = pki::server_and_client();
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_alpn_protos(b"\x04coap").unwrap();
    let mut session = server
        .server_config()
        .accept_stream(common::real_now())
        .unwrap();
    let (_, seen) = join(&mut session, &context.build(), |ssl| {
        ssl.set_connect_state();
    });
    let (peer, fault) = (Role::Client, CertificateFault::Missing);
    assert_eq!(
        seen.closed_without_session(),
        CertificateProblem { peer, fault }.into()
    );
}
