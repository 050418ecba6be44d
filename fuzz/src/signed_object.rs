//! What anybody can say in the name of a PvD, with and without a key.

use std::sync::LazyLock;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jose::{Anchors, DeviceKey, SigningKey, VerifyingKey};
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;

static KEY: LazyLock<PKey<Private>> =
    LazyLock::new(|| PKey::private_key_from_raw_bytes(&[7; 32], Id::ED25519).expect("a key"));
static DEVICE: LazyLock<DeviceKey> = LazyLock::new(|| {
    let key = PKey::private_key_from_raw_bytes(&[8; 32], Id::X25519).expect("a key");
    key.try_into().expect("a device's key")
});
static ANCHORS: LazyLock<Anchors> = LazyLock::new(|| {
    let key = SigningKey::try_from(KEY.clone()).expect("a signing key");
    let key: VerifyingKey = key.verifying().expect("its public half");
    let mut anchors = Anchors::default();
    let cafe = "cafe.example.com".parse().expect("a PvD ID");
    anchors.pinned.insert(cafe, vec![key]);
    anchors
});

/// Text as it comes; and a header and a payload, with a NUL between them, signed with a key that is believed.
pub fn signed_object(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = jose::payload_unverified(text);
        assert!(jose::verify(text, &Anchors::default(), SystemTime::UNIX_EPOCH).is_err());
        let _ = jose::open(text, &DEVICE);
        if let Ok(Some(compact)) = jose::onboarding::from_text(text) {
            assert_eq!(jose::onboarding::to_text(&compact).as_deref(), Ok(text));
        }
    }
    let mut halves = data.splitn(2, |octet| *octet == 0);
    let (Some(header), Some(payload)) = (halves.next(), halves.next()) else {
        return;
    };
    let encode = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let input = format!("{}.{}", encode(header), encode(payload));
    let mut signer = Signer::new_without_digest(&KEY).expect("a signer");
    let signature = signer
        .sign_oneshot_to_vec(input.as_bytes())
        .expect("a signature");
    let signed = format!("{input}.{}", encode(&signature));
    let Ok(verified) = jose::verify(&signed, &ANCHORS, SystemTime::UNIX_EPOCH) else {
        return;
    };
    assert_eq!(
        verified.read.information.identifier.as_str(),
        "cafe.example.com"
    );
    // serde_json is the second reader: what it understands must be the same.
    let header: serde_json::Value = serde_json::from_slice(header).expect("JSON");
    assert_eq!(header["alg"], "EdDSA");
    assert!(header.get("crit").is_none());
    assert_eq!(jose::payload_unverified(&signed).as_deref(), Ok(payload));
    let other = format!("{input}.{}", encode(&[0; 64]));
    assert!(jose::verify(&other, &ANCHORS, SystemTime::UNIX_EPOCH).is_err());
}
