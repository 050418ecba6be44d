//! Who is refused, what each end says about it, and what stays out of the configuration.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::pair::Pair;
use common::pki::{self, Ca, Identity, Profile, SERVER_NAME};
use dtls::{
    AlertCode, CertificateFault, CertificateProblem, ClientConfig, CloseReason, ConfigError,
    PemCredentials, Role, SessionSettings, X509Code,
};

fn refusal(peer: Role, fault: CertificateFault) -> Option<CloseReason> {
    Some(CloseReason::PeerCertificate(CertificateProblem {
        peer,
        fault,
    }))
}

fn alert(peer: Role, alert: AlertCode) -> Option<CloseReason> {
    Some(CloseReason::Alert { peer, alert })
}

fn text(reason: Option<CloseReason>) -> String {
    reason.unwrap().to_string()
}

/// An identity whose own authority is not the one it trusts.
fn of_another_ca(trusted: &Ca, profile: &Profile<'_>) -> Identity {
    Identity {
        anchors: trusted.pem(),
        ..Ca::new("another CA").issue(profile)
    }
}

///
#[test]
fn a_client_of_another_authority_is_refused_and_both_ends_say_so() {
    let ca = Ca::new("test CA");
    let mut pair = Pair::of(
        &ca.issue(&Profile::server()),
        &of_another_ca(&ca, &Profile::client()),
    );
    pair.settle();
    assert_eq!(
        pair.server_saw.closed,
        refusal(Role::Client, CertificateFault::NotTrusted(X509Code(20)))
    );
    assert_eq!(
        pair.client_saw.closed,
        alert(Role::Server, AlertCode::UNKNOWN_CA)
    );
    assert_eq!(
        text(pair.server_saw.closed),
        "the client's certificate does not lead to a trust anchor (X509 code 20)"
    );
    assert_eq!(
        text(pair.client_saw.closed),
        "the server ended the session: it does not trust the authority that issued our certificate (alert 48)"
    );
    assert!(pair.client_saw.peer.is_none() && pair.server_saw.peer.is_none());
}

///
#[test]
fn an_expired_client_certificate_is_refused() {
    let ca = Ca::new("test CA");
    let client = ca.issue(&Profile {
        not_after: "20210101000000Z",
        ..Profile::client()
    });
    let mut pair = Pair::of(&ca.issue(&Profile::server()), &client);
    pair.settle();
    assert_eq!(
        pair.server_saw.closed,
        refusal(Role::Client, CertificateFault::Expired(X509Code(10)))
    );
    assert_eq!(
        pair.client_saw.closed,
        alert(Role::Server, AlertCode::CERTIFICATE_EXPIRED)
    );
}

///
#[test]
fn a_server_certificate_does_not_make_a_client() {
    let ca = Ca::new("test CA");
    let mut pair = Pair::of(&ca.issue(&Profile::server()), &ca.issue(&Profile::server()));
    pair.settle();
    assert_eq!(
        pair.server_saw.closed,
        refusal(Role::Client, CertificateFault::WrongPurpose(X509Code(26)))
    );
    assert_eq!(
        pair.client_saw.closed,
        alert(Role::Server, AlertCode::UNSUPPORTED_CERTIFICATE)
    );
}

///
#[test]
fn a_server_of_another_authority_is_refused() {
    let ca = Ca::new("test CA");
    let mut pair = Pair::of(
        &of_another_ca(&ca, &Profile::server()),
        &ca.issue(&Profile::client()),
    );
    pair.settle();
    assert_eq!(
        pair.client_saw.closed,
        refusal(Role::Server, CertificateFault::NotTrusted(X509Code(20)))
    );
    assert_eq!(
        pair.server_saw.closed,
        alert(Role::Client, AlertCode::UNKNOWN_CA)
    );
}

///
#[test]
fn a_server_certificate_outside_its_validity_is_refused() {
    let ca = Ca::new("test CA");
    let expired = Profile {
        not_after: "20210101000000Z",
        ..Profile::server()
    };
    let future = Profile {
        not_before: "20990101000000Z",
        ..Profile::server()
    };
    for (profile, fault, words) in [
        (
            expired,
            CertificateFault::Expired(X509Code(10)),
            "the server's certificate has expired (X509 code 10)",
        ),
        (
            future,
            CertificateFault::NotYetValid(X509Code(9)),
            "the server's certificate is not valid yet (X509 code 9)",
        ),
    ] {
        let mut pair = Pair::of(&ca.issue(&profile), &ca.issue(&Profile::client()));
        pair.settle();
        assert_eq!(pair.client_saw.closed, refusal(Role::Server, fault));
        assert_eq!(text(pair.client_saw.closed), words);
    }
}

///
#[test]
fn a_client_certificate_does_not_make_a_server() {
    let ca = Ca::new("test CA");
    let server = ca.issue(&Profile {
        dns_names: vec![SERVER_NAME.to_owned()],
        ..Profile::client()
    });
    let mut pair = Pair::of(&server, &ca.issue(&Profile::client()));
    pair.settle();
    assert_eq!(
        pair.client_saw.closed,
        refusal(Role::Server, CertificateFault::WrongPurpose(X509Code(26)))
    );
}

/// Which names a certificate is good for.
#[test]
fn names_match_dns_ids_and_addresses_match_ip_addresses() {
    let ca = Ca::new("test CA");
    let client = ca.issue(&Profile::client()).client_config();
    let good: Option<i32> = None;
    for (dns_name, address, common_name, asked, code) in [
        (SERVER_NAME, None, "x", "DOTS.fixed.example", good),
        (SERVER_NAME, None, "x", "dots.fixed.example.", good),
        ("*.fixed.example", None, "x", SERVER_NAME, good),
        (SERVER_NAME, Some("192.0.2.4"), "x", "192.0.2.4", good),
        (SERVER_NAME, Some("2001:db8::4"), "x", "2001:db8:0::4", good),
        (SERVER_NAME, None, "x", "dots.mobile.example", Some(62)),
        (SERVER_NAME, None, "x", "fixed.example", Some(62)),
        ("dots*.fixed.example", None, "x", SERVER_NAME, Some(62)),
        ("*.example", None, "x", SERVER_NAME, Some(62)),
        // Neither the common name nor a DNS-ID that looks like an address stands in.
        ("other.example", None, SERVER_NAME, SERVER_NAME, Some(62)),
        ("", None, SERVER_NAME, SERVER_NAME, Some(62)),
        ("192.0.2.4", None, "192.0.2.4", "192.0.2.4", Some(64)),
        (SERVER_NAME, Some("192.0.2.4"), "x", "192.0.2.5", Some(64)),
    ] {
        let dns_names = if dns_name.is_empty() {
            vec![]
        } else {
            vec![dns_name.to_owned()]
        };
        let server = ca.issue(&Profile {
            dns_names,
            address,
            common_name,
            ..Profile::server()
        });
        let mut pair = Pair::with(server.server_config(), &client, asked, None);
        pair.settle();
        let expected = code.and_then(|code| {
            let fault = CertificateFault::WrongName {
                expected: asked.to_owned(),
                code: X509Code(code),
            };
            refusal(Role::Server, fault)
        });
        assert_eq!(
            pair.client_saw.closed, expected,
            "{dns_name} {address:?}, asked for {asked}"
        );
        assert_eq!(pair.established(), code.is_none());
    }
}

#[test]
fn a_wrong_name_is_told_in_words() {
    let (server, client) = pki::server_and_client();
    let mut pair = Pair::with(
        server.server_config(),
        &client.client_config(),
        "dots.mobile.example",
        None,
    );
    pair.settle();
    assert_eq!(
        text(pair.client_saw.closed),
        "the server's certificate is not valid for the name dots.mobile.example"
    );
    assert_eq!(
        pair.server_saw.closed,
        alert(Role::Client, AlertCode::BAD_CERTIFICATE)
    );
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_sent() {
    let (_, client) = pki::server_and_client();
    let config = client.client_config();
    for name in [
        "",
        ".",
        "a..b",
        "-\0",
        "dots.fixed.example\0.evil.example",
        "a b",
        "[::1]",
        &"a.".repeat(200),
    ] {
        let error = config.connect(common::real_now(), name, None).unwrap_err();
        assert!(
            matches!(error, ConfigError::ServerName { .. }),
            "{name:?}: {error}"
        );
    }
}

#[test]
fn credentials_that_cannot_work_are_refused_with_the_reason() {
    let (server, client) = pki::server_and_client();
    let good = client.credentials();
    let refused = |credentials: PemCredentials<'_>| {
        ClientConfig::new(credentials, SessionSettings::default()).unwrap_err()
    };
    let empty: &[u8] = b"";
    let broken: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted = openssl::pkey::PKey::private_key_from_pem(&client.key)
        .unwrap()
        .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"secret")
        .unwrap();

    let with_chain = |certificate_chain| {
        refused(PemCredentials {
            certificate_chain,
            ..good
        })
    };
    let with_key = |private_key| {
        refused(PemCredentials {
            private_key,
            ..good
        })
    };
    let with_anchors = |trust_anchors| {
        refused(PemCredentials {
            trust_anchors,
            ..good
        })
    };
    assert!(matches!(with_chain(empty), ConfigError::NoCertificate));
    assert!(matches!(
        with_chain(broken),
        ConfigError::CertificateChain(_)
    ));
    assert!(matches!(
        with_chain(&server.certificate),
        ConfigError::KeyMismatch
    ));
    assert!(matches!(with_key(empty), ConfigError::PrivateKey(_)));
    assert!(matches!(with_key(&encrypted), ConfigError::PrivateKey(_)));
    assert!(matches!(with_key(&server.key), ConfigError::KeyMismatch));
    assert!(matches!(with_anchors(empty), ConfigError::NoTrustAnchor));
    assert!(matches!(with_anchors(broken), ConfigError::TrustAnchors(_)));
}
