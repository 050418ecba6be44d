//! What is sealed for a device, and what is changed on its way.

use openssl::pkey::PKey;
use proptest::prelude::*;
use pvd::information::{NotIJson, Sealed};

use super::p256;
use crate::compact::{encode, split};
use crate::{DeviceKey, MAX_SEALED_BYTES, NotCompact, SealError, Unopened, open, seal};

fn devices() -> [DeviceKey; 2] {
    [p256(), PKey::generate_x25519().unwrap()].map(|key| key.try_into().unwrap())
}

const SECRET: &[u8] = br#"[{"ssid":"home","passphrase":"correct horse"}]"#;

/// Covers: P-051
#[test]
fn only_the_device_reads_what_is_sealed_for_it() {
    for (own, device) in devices().iter().enumerate() {
        let sealed = seal(SECRET, &device.public().unwrap()).unwrap();
        assert_eq!(open(&sealed, device).unwrap(), SECRET);
        assert!(sealed.parse::<Sealed>().is_ok(), "what an object takes");
        let again = seal(SECRET, &device.public().unwrap()).unwrap();
        assert_ne!(sealed, again);
        for (other, device) in devices().iter().enumerate() {
            let fault = match own == other {
                true => Unopened::Sealed,
                false => Unopened::EphemeralKey,
            };
            assert_eq!(open(&sealed, device), Err(fault));
        }
    }
}

/// Covers: P-051
#[test]
fn whatever_is_changed_stays_closed() {
    for device in devices() {
        let sealed = seal(SECRET, &device.public().unwrap()).unwrap();
        let [header, _, iv, text, tag] = split::<5>(&sealed).unwrap();
        let plain = String::from_utf8(crate::compact::decode(header).unwrap()).unwrap();
        let with = |from: &str, to: &str| {
            let header = plain.replacen(from, to, 1);
            assert_ne!(header, plain);
            format!("{}..{iv}.{text}.{tag}", encode(header))
        };
        let short = encode([0; 8]);
        for (changed, fault) in [
            (with("ECDH-ES", "ECDH-ES+A256KW"), Unopened::Algorithm),
            (with("A256GCM", "A128GCM"), Unopened::Algorithm),
            (with("{", r#"{"zip":"DEF","#), Unopened::Algorithm),
            (with("{", r#"{"apu":"QQ","#), Unopened::Algorithm),
            (with("{", r#"{"crit":["exp"],"#), Unopened::Critical),
            (
                with("{", r#"{"alg":"ECDH-ES","#),
                Unopened::Header(NotIJson::DuplicateKey),
            ),
            (with("\"epk\"", "\"key\""), Unopened::EphemeralKey),
            (with("\"x\"", "\"z\""), Unopened::EphemeralKey),
            (with("{", r#"{"kid":"1","#), Unopened::Sealed),
            (
                format!("{header}.AAAA.{iv}.{text}.{tag}"),
                Unopened::Algorithm,
            ),
            (format!("{header}..{short}.{text}.{tag}"), Unopened::Sealed),
            (format!("{header}..{iv}.{text}.{short}"), Unopened::Sealed),
            (format!("{header}..{iv}.{tag}.{tag}"), Unopened::Sealed),
            (format!("{header}..{iv}..{tag}"), Unopened::Sealed),
            (
                format!("{header}..{iv}.{text}"),
                Unopened::NotCompact(NotCompact::Parts(5)),
            ),
            (
                format!("{header}..{iv}.{text}.{tag}="),
                Unopened::NotCompact(NotCompact::NotBase64Url),
            ),
        ] {
            assert_eq!(open(&changed, &device), Err(fault), "{changed}");
        }
    }
}

#[test]
fn a_key_that_is_no_point_or_of_small_order_is_none() {
    let [ec, okp] = devices();
    let one = encode([&[0; 31][..], &[1]].concat());
    let zero = encode([0; 32]);
    for (device, epk) in [
        (
            &ec,
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{one}","y":"{one}"}}"#),
        ),
        (
            &ec,
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}"}}"#),
        ),
        (
            &ec,
            format!(
                r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{one}"}}"#,
                encode([255; 32])
            ),
        ),
        (
            &ec,
            r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}"#.to_owned(),
        ),
        (
            &okp,
            format!(r#"{{"kty":"OKP","crv":"X25519","x":"{zero}"}}"#),
        ),
        (&okp, r#"{"kty":"OKP","crv":"X25519","x":"AQ"}"#.to_owned()),
    ] {
        let header = format!(r#"{{"alg":"ECDH-ES","enc":"A256GCM","epk":{epk}}}"#);
        let text = format!(
            "{}..{}.{}.{}",
            encode(header),
            encode([0; 12]),
            encode([0; 9]),
            encode([0; 16])
        );
        assert_eq!(open(&text, device), Err(Unopened::EphemeralKey), "{epk}");
    }
}

#[test]
fn what_is_too_long_is_neither_sealed_nor_opened() {
    let [device, _] = devices();
    let public = device.public().unwrap();
    let sealed = seal(&vec![7; MAX_SEALED_BYTES], &public);
    assert!(matches!(sealed, Err(SealError::TooLarge(_))));
    let long = "a".repeat(MAX_SEALED_BYTES + 1);
    assert_eq!(open(&long, &device), Err(Unopened::TooLarge(long.len())));
    let ed25519 = PKey::generate_ed25519().unwrap();
    assert!(DeviceKey::try_from(ed25519).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_is_opened(text in prop::collection::vec(any::<u8>(), 0..999)) {
        for device in devices() {
            let sealed = seal(&text, &device.public().unwrap()).unwrap();
            prop_assert_eq!(open(&sealed, &device), Ok(text.clone()));
        }
    }
}
