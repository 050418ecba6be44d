//! Whoever forges an object is told apart from others who do: each has a reason.

use std::time::Duration;

use openssl::x509::X509;
use proptest::prelude::*;
use pvd::KeyBinding;
use pvd::information::{NotIJson, Refused};

use super::*;
use crate::compact::encode;
use crate::{
    Algorithm, ChainFault, Forged, MAX_SIGNED_BYTES, NotCompact, SignError, VerifyingKey,
    payload_unverified, verify,
};

/// Covers: P-036
#[test]
fn a_key_with_a_certificate_for_the_pvd_proves_its_object() {
    for key in [p256(), ed25519()] {
        let world = World::new(key);
        let verified = verify(&world.signed(), &world.anchors(), now()).unwrap();
        assert_eq!(verified.binding, KeyBinding::Certificate);
        assert_eq!(verified.read.information.identifier, cafe());
    }
}

/// Covers: P-036
#[test]
fn a_pinned_key_needs_no_certificate_and_is_the_strongest_binding() {
    for key in [p256(), ed25519()] {
        let world = World::new(key);
        let reference = KeyReference::KeyId("2026");
        let alone = sign(OBJECT.as_bytes(), &signing(&world.key), &reference, now()).unwrap();
        for compact in [alone, world.signed()] {
            let verified = verify(&compact, &pinned(&world.key), now()).unwrap();
            assert_eq!(verified.binding, KeyBinding::Pinned);
        }
    }
}

/// Covers: P-037
#[test]
fn a_client_that_does_not_verify_reads_the_same_object() {
    let world = World::new(p256());
    let payload = payload_unverified(&world.signed()).unwrap();
    assert_eq!(payload, OBJECT.as_bytes());
    assert!(matches!(
        payload_unverified("a.b"),
        Err(Forged::NotCompact(_))
    ));
    let long = "a".repeat(MAX_SIGNED_BYTES + 1);
    assert_eq!(payload_unverified(&long), Err(Forged::TooLarge(long.len())));
}

/// Covers: P-038
#[test]
fn each_forged_header_is_refused_for_its_own_reason() {
    let world = World::new(p256());
    let anchors = pinned(&world.key);
    let fine = r#"{"alg":"ES256","cty":"pvd+json"}"#;
    assert!(verify(&world.forge(fine, OBJECT), &anchors, now()).is_ok());
    let longer = fine.replace("pvd+json", "Application/PvD+JSON");
    assert!(verify(&world.forge(&longer, OBJECT), &anchors, now()).is_ok());
    for (header, expected) in [
        (fine.replace("ES256", "none"), Forged::Unsigned),
        (fine.replace("ES256", "nOnE"), Forged::Unsigned),
        (
            fine.replace("ES256", "HS256"),
            Forged::Algorithm("HS256".into()),
        ),
        (
            fine.replace("ES256", "es256"),
            Forged::Algorithm("es256".into()),
        ),
        (
            fine.replace("ES256", "\\u001b[31m"),
            Forged::Algorithm(r"\u{1b}[31m".into()),
        ),
        (
            fine.replace("\"ES256\"", "7"),
            Forged::Algorithm(String::new()),
        ),
        (
            fine.replace("\"alg\"", "\"alk\""),
            Forged::Algorithm(String::new()),
        ),
        (
            fine.replace("ES256", "EdDSA"),
            Forged::OtherAlgorithm(Algorithm::EdDsa),
        ),
        (
            fine.replace('}', r#","crit":["b64"],"b64":false}"#),
            Forged::Critical,
        ),
        (fine.replace('}', r#","crit":[]}"#), Forged::Critical),
        (fine.replace("pvd+json", "jwt"), Forged::ContentType),
        (fine.replace("cty", "typ"), Forged::ContentType),
        (
            fine.replace('}', r#","alg":"ES256"}"#),
            Forged::Header(NotIJson::DuplicateKey),
        ),
        ("[]".into(), Forged::Header(NotIJson::NoObject)),
        (fine.replace('}', r#","x5c":[]}"#), Forged::Certificates),
        (fine.replace('}', r#","x5c":"a"}"#), Forged::Certificates),
        (
            fine.replace('}', r#","x5c":["AAAA"]}"#),
            Forged::Certificates,
        ),
        (
            fine.replace('}', r#","x5c":["A-_A"]}"#),
            Forged::Certificates,
        ),
    ] {
        assert_eq!(
            reason(&world.forge(&header, OBJECT), &anchors),
            expected,
            "{header}"
        );
    }
    let many = vec![world.chain[0].clone(); crate::MAX_CERTIFICATES + 1];
    let header = fine.replace('}', &format!(r#","x5c":{}}}"#, x5c(&many)));
    assert_eq!(
        reason(&world.forge(&header, OBJECT), &anchors),
        Forged::Certificates
    );
}

/// Covers: P-038
#[test]
fn what_is_not_signed_by_the_bound_key_over_these_octets_is_refused() {
    let world = World::new(p256());
    let signed = world.signed();
    let [header, payload, signature] = crate::compact::split::<3>(&signed).unwrap();
    let anchors = world.anchors();
    let later = OBJECT.replace("2030", "2039");
    for forged in [
        format!("{header}.{}.{signature}", encode(&later)),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{}", encode([0; 64])),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 2]),
    ] {
        assert_eq!(reason(&forged, &anchors), Forged::Signature, "{forged}");
    }
    // The right certificate beside a signature of another key.
    let thief = World {
        chain: world.chain.clone(),
        ..World::new(p256())
    };
    let header = format!(
        r#"{{"alg":"ES256","cty":"pvd+json","x5c":{}}}"#,
        thief.x5c()
    );
    assert_eq!(
        reason(&thief.forge(&header, OBJECT), &anchors),
        Forged::Signature
    );
    let pinned = pinned(&world.key);
    let header = r#"{"alg":"ES256","cty":"pvd+json"}"#;
    assert_eq!(
        reason(&thief.forge(header, OBJECT), &pinned),
        Forged::Signature
    );
    // A key that the object brings along is nobody's.
    let header =
        r#"{"alg":"ES256","cty":"pvd+json","jwk":{"kty":"EC"},"jku":"https://thief.example"}"#;
    assert_eq!(
        reason(&thief.forge(header, OBJECT), &Anchors::default()),
        Forged::KeyNotBound(cafe())
    );
}

#[test]
fn what_is_signed_must_count_as_additional_information() {
    let world = World::new(p256());
    let anchors = pinned(&world.key);
    let header = r#"{"alg":"ES256","cty":"pvd+json"}"#;
    for (payload, expected) in [
        (OBJECT.replace("2030", "2020"), Refused::Expired),
        (
            OBJECT.replace(']', "],"),
            NotIJson::NotJson("trailing comma at line 1 column 99".into()).into(),
        ),
        ("[]".to_owned(), NotIJson::NoObject.into()),
    ] {
        let forged = world.forge(header, &payload);
        assert_eq!(
            reason(&forged, &anchors),
            Forged::Payload(expected),
            "{payload}"
        );
        let signed = sign(
            payload.as_bytes(),
            &signing(&world.key),
            &KeyReference::KeyId("1"),
            now(),
        );
        assert!(matches!(signed, Err(SignError::Payload(_))));
    }
}

#[test]
fn what_is_no_compact_serialisation_is_told_so() {
    let world = World::new(p256());
    let anchors = world.anchors();
    let signed = world.signed();
    let parts = NotCompact::Parts(3);
    for (text, fault) in [
        (String::new(), parts),
        (OBJECT.to_owned(), parts),
        (format!("{signed}."), parts),
        (".".repeat(MAX_SIGNED_BYTES), parts),
        (format!("{signed}="), NotCompact::NotBase64Url),
        (format!("{signed}\n"), NotCompact::NotBase64Url),
        (signed.replacen('e', "+", 1), NotCompact::NotBase64Url),
    ] {
        assert_eq!(
            reason(&text, &anchors),
            Forged::NotCompact(fault),
            "{text:.80}"
        );
    }
    let long = signed + &"A".repeat(MAX_SIGNED_BYTES);
    assert_eq!(reason(&long, &anchors), Forged::TooLarge(long.len()));
}

#[test]
fn what_nobody_could_verify_is_not_signed() {
    let world = World::new(p256());
    let signed = |chain: &[X509], object: &str, key: &PKey<Private>| {
        sign(
            object.as_bytes(),
            &signing(key),
            &KeyReference::Certificates(chain),
            now(),
        )
    };
    assert!(matches!(
        signed(&[], OBJECT, &world.key),
        Err(SignError::ChainLength)
    ));
    assert!(matches!(
        signed(&world.chain, OBJECT, &p256()),
        Err(SignError::OtherKey)
    ));
    let other = OBJECT.replace("cafe", "other");
    assert!(matches!(
        signed(&world.chain, &other, &world.key),
        Err(SignError::OtherName(_))
    ));
    assert!(SigningKey::try_from(PKey::generate_x25519().unwrap()).is_err());
    assert!(VerifyingKey::from_pem(b"no PEM").is_err());
}

/// Covers: P-039
#[test]
fn a_signed_object_proves_the_same_until_its_certificate_ends() {
    let world = World::new(p256());
    let signed = world.signed();
    let at = |seconds| {
        verify(
            &signed,
            &world.anchors(),
            now() + Duration::from_secs(seconds),
        )
    };
    assert_eq!(at(0), at(DAY - 1));
    assert!(matches!(
        at(DAY + 1),
        Err(Forged::Chain(ChainFault::Invalid(_)))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_changed_is_no_proof_any_more(place in any::<prop::sample::Index>(), octet in 0x20..0x7f_u8) {
        let world = World::new(ed25519());
        let signed = world.signed();
        let place = place.index(signed.len());
        let mut changed = signed.clone().into_bytes();
        changed[place] = octet;
        let changed = String::from_utf8(changed).unwrap();
        let verified = verify(&changed, &world.anchors(), now());
        prop_assert_eq!(verified.is_ok(), changed == signed, "{}", changed);
    }

    #[test]
    fn any_text_is_refused_by_who_believes_nobody(text in "[A-Za-z0-9_.-]{0,99}|\\PC{0,99}") {
        prop_assert!(verify(&text, &Anchors::default(), now()).is_err());
    }
}
