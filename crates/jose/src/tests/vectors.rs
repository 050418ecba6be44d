//! Numbers of the specifications, typed from there.

use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey};

use crate::compact::{decode, encode};
use crate::encrypt::concat_kdf;
use crate::{SigningKey, VerifyingKey};

/// RFC 7515 appendix A.3
#[test]
fn the_signature_of_the_specification_with_p256_is_one() {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let number = |text| BigNum::from_slice(&decode(text).unwrap()).unwrap();
    let x = number("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    let y = number("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let key = EcKey::from_public_key_affine_coordinates(&group, &x, &y).unwrap();
    let key: VerifyingKey = PKey::from_ec_key(key).unwrap().try_into().unwrap();
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let input = format!("{}.{payload}", encode(r#"{"alg":"ES256"}"#));
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let signature = decode(signature).unwrap();
    assert!(key.verify(input.as_bytes(), &signature));
    for place in [0, 31, 32, 63] {
        let mut other = signature.clone();
        other[place] ^= 1;
        assert!(!key.verify(input.as_bytes(), &other));
    }
    // Neither halves of nothing, nor another length, nor what OpenSSL itself would read.
    for other in [
        &[0; 64][..],
        &signature[..63],
        &[&signature[..], &[0]].concat(),
        &[0x30, 0],
    ] {
        assert!(!key.verify(input.as_bytes(), other));
    }
}

/// RFC 8037 appendix A.4
#[test]
fn the_signature_of_the_specification_with_ed25519_is_the_one_that_is_made() {
    let private = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let private = PKey::private_key_from_raw_bytes(&private, Id::ED25519).unwrap();
    let public = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    assert_eq!(private.raw_public_key().unwrap(), public);
    let key: SigningKey = private.try_into().unwrap();
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = key.sign(input.as_bytes()).unwrap();
    let expected =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(encode(&signature), expected);
    assert!(
        key.verifying()
            .unwrap()
            .verify(input.as_bytes(), &signature)
    );
}

/// RFC 7518 appendix C
#[test]
fn the_key_derivation_of_the_specification_gives_its_key() {
    let z = [
        158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110,
        163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
    ];
    let key = concat_kdf(&z, "A128GCM", b"Alice", b"Bob", 128);
    assert_eq!(encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
}
