//! What binds a key to the name of a PvD, and what does not.

use openssl::x509::X509;
use pvd::{KeyBinding, PvdId};

use super::*;
use crate::{ChainFault, Forged, TlsaRecord, verify};

/// Covers: P-038
#[test]
fn a_key_of_one_pvd_proves_nothing_of_another() {
    let world = World::new(p256());
    let other: PvdId = "other.example.com".parse().unwrap();
    let swapped = OBJECT.replace("cafe.", "other.");
    let header = format!(
        r#"{{"alg":"ES256","cty":"pvd+json","x5c":{}}}"#,
        world.x5c()
    );
    let forged = world.forge(&header, &swapped);
    let expected = Forged::Chain(ChainFault::OtherName(other.clone()));
    assert_eq!(reason(&forged, &world.anchors()), expected);
    let alone = world.forge(r#"{"alg":"ES256","cty":"pvd+json"}"#, &swapped);
    assert_eq!(
        reason(&alone, &pinned(&world.key)),
        Forged::KeyNotBound(other)
    );
}

/// Covers: P-038
#[test]
fn a_chain_binds_only_by_an_authority_for_the_very_name_in_its_time() {
    let world = World::new(p256());
    let chain_of = |certificate: &Certificate<'_>| {
        let own = certificate.issue(&world.key, Some(&world.intermediate));
        World {
            chain: vec![own, world.intermediate.0.clone()],
            root: world.root.clone(),
            intermediate: world.intermediate.clone(),
            key: world.key.clone(),
        }
    };
    let header =
        |chain: &[X509]| format!(r#"{{"alg":"ES256","cty":"pvd+json","x5c":{}}}"#, x5c(chain));
    let judged = |world: &World, anchors: &Anchors| {
        let forged = world.forge(&header(&world.chain), OBJECT);
        verify(&forged, anchors, now()).map(|verified| verified.binding)
    };
    let other_name = || Err(Forged::Chain(ChainFault::OtherName(cafe())));
    let anchors = world.anchors();
    let name = ["cafe.example.com"];
    assert_eq!(
        judged(&chain_of(&server(&name)), &anchors),
        Ok(KeyBinding::Certificate)
    );
    assert_eq!(
        judged(&chain_of(&server(&["*.example.com"])), &anchors),
        other_name()
    );
    assert_eq!(
        judged(&chain_of(&server(&["example.com"])), &anchors),
        other_name()
    );
    // A common name is no name (RFC 6125 §6.4.4).
    assert_eq!(judged(&chain_of(&server(&[])), &anchors), other_name());

    let is_invalid = |world: &World, anchors: &Anchors| {
        let judged = judged(world, anchors);
        assert!(
            matches!(judged, Err(Forged::Chain(ChainFault::Invalid(_)))),
            "{judged:?}"
        );
    };
    is_invalid(
        &chain_of(&Certificate {
            not_after: NOW - 1,
            ..server(&name)
        }),
        &anchors,
    );
    is_invalid(
        &chain_of(&Certificate {
            for_servers: false,
            ..server(&name)
        }),
        &anchors,
    );
    is_invalid(&world, &World::new(p256()).anchors());
    is_invalid(&world, &Anchors::default());
    let short = World {
        chain: vec![world.chain[0].clone()],
        ..chain_of(&server(&name))
    };
    is_invalid(&short, &anchors);
    // Who has a certificate is no authority by that.
    let issuer = (world.chain[0].clone(), world.key.clone());
    let key = p256();
    let own = server(&name).issue(&key, Some(&issuer));
    let thief = World {
        chain: vec![own, issuer.0, world.chain[1].clone()],
        key,
        ..chain_of(&server(&name))
    };
    is_invalid(&thief, &anchors);
}

/// Covers: P-038
#[test]
fn a_tlsa_record_binds_the_certificate_or_the_authority_that_it_speaks_of() {
    use openssl::sha::{sha256, sha512};
    let world = World::new(p256());
    let spki = |certificate: &X509| {
        let key = certificate.public_key().unwrap();
        key.public_key_to_der().unwrap()
    };
    let binding = |usage, selector, matching, data: &[u8]| {
        let data = data.to_vec();
        let record = TlsaRecord {
            usage,
            selector,
            matching,
            data,
        };
        let mut anchors = Anchors::default();
        anchors.dane.insert(cafe(), vec![record]);
        verify(&world.signed(), &anchors, now()).map(|verified| verified.binding)
    };
    for (usage, certificate) in [(3, &world.chain[0]), (2, &world.chain[1])] {
        let whole = certificate.to_der().unwrap();
        let key = spki(certificate);
        for (selector, selected) in [(0, whole), (1, key)] {
            for (matching, data) in [
                (0, selected.clone()),
                (1, sha256(&selected).to_vec()),
                (2, sha512(&selected).to_vec()),
            ] {
                let bound = Ok(KeyBinding::Dane);
                assert_eq!(binding(usage, selector, matching, &data), bound);
                // Without an authority that is believed there is nothing to narrow.
                for usage in [0, 1, 4, 255] {
                    assert!(binding(usage, selector, matching, &data).is_err());
                }
                assert!(binding(usage, 1 - selector, matching, &data).is_err());
                assert!(binding(usage, selector, 3, &data).is_err());
                assert!(binding(usage, selector, matching, &data[1..]).is_err());
            }
        }
    }
    let own = spki(&world.chain[0]);
    assert!(binding(2, 1, 0, &own).is_err(), "no authority");
}

/// An authority of the record alone is held to name and time, the certificate of the record to neither (RFC 7671 §5).
///
/// Covers: P-038
#[test]
fn only_a_record_of_the_certificate_itself_makes_up_for_its_name_and_time() {
    let world = World::new(p256());
    let old = Certificate {
        not_after: NOW - 1,
        ..server(&["other.example"])
    };
    let old = old.issue(&world.key, Some(&world.intermediate));
    let chain = [old.clone(), world.intermediate.0.clone()];
    let header = format!(
        r#"{{"alg":"ES256","cty":"pvd+json","x5c":{}}}"#,
        x5c(&chain)
    );
    let signed = world.forge(&header, OBJECT);
    let binding = |usage, certificate: &X509| {
        let data = certificate.to_der().unwrap();
        let record = TlsaRecord {
            usage,
            selector: 0,
            matching: 0,
            data,
        };
        let mut anchors = Anchors::default();
        anchors.dane.insert(cafe(), vec![record]);
        verify(&signed, &anchors, now()).map(|verified| verified.binding)
    };
    assert_eq!(binding(3, &old), Ok(KeyBinding::Dane));
    assert!(binding(2, &world.intermediate.0).is_err());
}

/// Whoever gets a certificate for the name from some authority does not have the key.
///
/// Covers: P-038
#[test]
fn a_key_that_is_pinned_or_in_the_dns_leaves_no_room_for_another() {
    let world = World::new(p256());
    let mut anchors = world.anchors();
    let other = signing(&p256()).verifying().unwrap();
    anchors.pinned.insert(cafe(), vec![other.clone()]);
    let not_pinned = Forged::Chain(ChainFault::NotPinned(cafe()));
    assert_eq!(reason(&world.signed(), &anchors), not_pinned);
    let own = signing(&world.key).verifying().unwrap();
    anchors.pinned.insert(cafe(), vec![other, own]);
    let binding = |anchors: &Anchors| {
        verify(&world.signed(), anchors, now()).map(|verified| verified.binding)
    };
    assert_eq!(binding(&anchors), Ok(KeyBinding::Pinned));

    let record = |usage, selector, matching, data: &[u8]| TlsaRecord {
        usage,
        selector,
        matching,
        data: data.to_vec(),
    };
    let mut anchors = world.anchors();
    let not_in_dns = Err(Forged::Chain(ChainFault::NotInDns(cafe())));
    for usage in 0..=3 {
        anchors
            .dane
            .insert(cafe(), vec![record(usage, 1, 1, &[7; 32])]);
        assert_eq!(binding(&anchors), not_in_dns, "usage {usage}");
    }
    // What nobody can compare is as if it were not there.
    for unusable in [
        record(4, 1, 1, &[7; 32]),
        record(3, 2, 1, &[7; 32]),
        record(3, 1, 3, &[7; 32]),
        record(3, 1, 1, &[7; 31]),
    ] {
        anchors.dane.insert(cafe(), vec![unusable.clone()]);
        assert_eq!(binding(&anchors), Ok(KeyBinding::Certificate));
        anchors
            .dane
            .insert(cafe(), vec![unusable, record(3, 1, 1, &[7; 32])]);
        assert_eq!(binding(&anchors), not_in_dns);
    }
    // Usages 0 and 1: the record and the authorities.
    let [leaf, intermediate] = [&world.chain[0], &world.chain[1]].map(|it| it.to_der().unwrap());
    let root = world.root.to_der().unwrap();
    for (usage, data) in [(1, &leaf), (0, &intermediate), (0, &root)] {
        let records = vec![record(usage, 0, 0, data)];
        anchors.dane.insert(cafe(), records.clone());
        assert_eq!(binding(&anchors), Ok(KeyBinding::Dane), "usage {usage}");
        let mut alone = Anchors::default();
        alone.dane.insert(cafe(), records);
        assert_eq!(binding(&alone), not_in_dns, "usage {usage}");
    }
    anchors.dane.insert(cafe(), vec![record(0, 0, 0, &leaf)]);
    assert_eq!(binding(&anchors), not_in_dns, "no authority");
}
