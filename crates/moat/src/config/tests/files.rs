//! The certificates and keys that a configuration names. Covers: X-001..X-003 before a peer does.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::X509;

use super::super::{HostName, load_client, load_server};
use super::client::CLIENT;
use super::{Folder, invalid, with};

/// The client's file with other credentials in its first PvD.
fn naming(certificate: &str, key: &str, anchors: &str) -> String {
    let text = with(CLIENT, "\"home.pem\"", &format!("{certificate:?}"));
    let text = with(&text, "\"home-key.pem\"", &format!("{key:?}"));
    with(&text, "\"ca.pem\"", &format!("{anchors:?}"))
}

#[test]
fn files_that_cannot_be_used_are_told() {
    let folder = Folder::new();
    let key = fs::read(folder.path().join("home-key.pem")).unwrap();
    let encrypted = PKey::private_key_from_pem(&key)
        .unwrap()
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret")
        .unwrap();
    fs::write(folder.path().join("encrypted.pem"), encrypted).unwrap();
    fs::write(folder.path().join("long.pem"), vec![b'a'; (4 << 20) + 1]).unwrap();
    fs::create_dir(folder.path().join("folder.pem")).unwrap();
    let key = "16:15: pvd[0].dots[0].private_key";
    let certificate = "15:15: pvd[0].dots[0].certificate";
    let anchors = "17:17: pvd[0].dots[0].trust_anchors";
    let cases = [
        (
            ["none.pem", "home-key.pem", "ca.pem"],
            certificate,
            "none.pem cannot be read: No such file or directory (os error 2); \
             check the name; a relative one is looked up from the configuration's folder",
        ),
        (
            ["home.pem", "folder.pem", "ca.pem"],
            key,
            "folder.pem cannot be read: Is a directory (os error 21); name a file that can be read",
        ),
        (
            ["long.pem", "home-key.pem", "ca.pem"],
            certificate,
            "long.pem is longer than 4194304 bytes; name a PEM file",
        ),
        (
            ["home-key.pem", "home-key.pem", "ca.pem"],
            certificate,
            "home-key.pem holds no certificate; name a PEM file with BEGIN CERTIFICATE in it",
        ),
        (
            ["home.pem", "home.pem", "ca.pem"],
            key,
            "home.pem holds no private key; name a PEM file with BEGIN PRIVATE KEY in it",
        ),
        (
            ["home.pem", "encrypted.pem", "ca.pem"],
            key,
            "encrypted.pem is encrypted, and a daemon cannot be asked for the passphrase; \
             store it readable for moat only: openssl pkey -in encrypted.pem -out KEY.pem",
        ),
        (
            ["home.pem", "ca-key.pem", "ca.pem"],
            key,
            "ca-key.pem does not belong to the certificate home.pem; \
             name the key that the certificate was made with",
        ),
        (
            ["home.pem", "home-key.pem", "home-key.pem"],
            anchors,
            "home-key.pem holds no certificate; name a PEM file with BEGIN CERTIFICATE in it",
        ),
    ];
    for ([certificate, key, anchors], place, wanted) in cases {
        let text = naming(certificate, key, anchors);
        assert_eq!(folder.told(&text), [format!("x.toml:{place}: {wanted}")]);
        let error = load_client(&folder.write(&text)).unwrap_err();
        assert_eq!(invalid(error).len(), 1);
    }
}

/// One provider's certificate being over does not keep a client from asking the other one.
#[test]
fn credentials_that_a_peer_would_refuse_are_told_and_do_not_stop_the_client() {
    let folder = Folder::new();
    folder.issue(|args| (args.client, args.expired) = (HostName::parse("old").ok(), true));
    let ca = fs::read(folder.path().join("ca.pem")).unwrap();
    let key =
        PKey::private_key_from_pem(&fs::read(folder.path().join("home-key.pem")).unwrap()).unwrap();
    let mut early = X509::builder().unwrap();
    early.set_pubkey(&key).unwrap();
    early
        .set_not_before(&Asn1Time::from_unix(4_000_000_000).unwrap())
        .unwrap();
    early
        .set_not_after(&Asn1Time::from_unix(4_100_000_000).unwrap())
        .unwrap();
    early
        .set_issuer_name(X509::from_pem(&ca).unwrap().subject_name())
        .unwrap();
    early.sign(&key, MessageDigest::sha256()).unwrap();
    fs::write(
        folder.path().join("early.pem"),
        early.build().to_pem().unwrap(),
    )
    .unwrap();

    let server_key = "dots.fixed.example-key.pem";
    let certificate = "15:15: pvd[0].dots[0].certificate";
    let cases = [
        (
            ["old.pem", "old-key.pem", "ca.pem"],
            format!("{certificate}: old.pem has expired ("),
            "); peers refuse it: renew it",
        ),
        (
            ["early.pem", "home-key.pem", "ca.pem"],
            format!("{certificate}: early.pem is not valid before Oct  2 07:06:40 2096 GMT; "),
            "set this machine's clock, or wait",
        ),
        (
            ["dots.fixed.example.pem", server_key, "ca.pem"],
            format!("{certificate}: dots.fixed.example.pem is not for a client: "),
            "its extended key usage lacks clientAuth; ask its issuer for one that has it",
        ),
        (
            ["home.pem", "home-key.pem", "home.pem"],
            "17:17: pvd[0].dots[0].trust_anchors: home.pem is not a CA's certificate, ".to_owned(),
            "so nothing it issued can be verified; name the CA's",
        ),
    ];
    for ([certificate, key, anchors], start, end) in cases {
        let text = naming(certificate, key, anchors);
        let told = folder.told(&text);
        let [problem] = told.as_slice() else {
            panic!("{told:?}")
        };
        assert!(problem.starts_with(&format!("x.toml:{start}")), "{problem}");
        assert!(problem.ends_with(end), "{problem}");
        assert!(!folder.check(&text).is_ok());
        assert_eq!(load_client(&folder.write(&text)).unwrap().warnings.len(), 1);
    }
}

#[test]
fn a_private_key_that_others_can_use_is_refused_as_a_pre_shared_key_is() {
    let folder = Folder::new();
    folder.issue(|args| args.client = HostName::parse("own").ok());
    let text = naming("own.pem", "own-key.pem", "ca.pem");
    let set_mode = |mode| {
        let key = folder.path().join("own-key.pem");
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
    };
    for mode in [0o644, 0o604, 0o660] {
        set_mode(mode);
        let told = format!(
            "x.toml:16:15: pvd[0].dots[0].private_key: own-key.pem is open to other users of this machine \
             (mode {mode:04o}); run: chmod 600 own-key.pem"
        );
        assert_eq!(folder.told(&text), [told]);
        load_client(&folder.write(&text)).unwrap_err();
    }
    for mode in [0o600, 0o400, 0o640] {
        set_mode(mode);
        assert!(folder.check(&text).is_ok(), "{mode:o}");
    }
}

#[test]
fn a_near_expiry_is_a_warning() {
    let folder = Folder::new();
    folder.issue(|args| (args.client, args.days) = (HostName::parse("soon").ok(), 29));
    let text = naming("soon.pem", "soon-key.pem", "ca.pem");
    let told = folder.told(&text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(
        "x.toml:15:15: warning: pvd[0].dots[0].certificate: soon.pem expires in less than 30 days ("
    ));
    assert!(folder.check(&text).is_ok());
}

/// A certificate that the CA of the folder signs, with an RSA key of this many bits.
fn with_rsa(folder: &Folder, name: &str, bits: u32) {
    let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let home = X509::from_pem(&fs::read(folder.path().join("home.pem")).unwrap()).unwrap();
    let ca_key = fs::read(folder.path().join("ca-key.pem")).unwrap();
    let mut certificate = X509::builder().unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(home.not_before()).unwrap();
    certificate.set_not_after(home.not_after()).unwrap();
    certificate.set_issuer_name(home.issuer_name()).unwrap();
    let ca_key = PKey::private_key_from_pem(&ca_key).unwrap();
    certificate.sign(&ca_key, MessageDigest::sha256()).unwrap();
    let pem = certificate.build().to_pem().unwrap();
    fs::write(folder.path().join(format!("{name}.pem")), pem).unwrap();
    let pem = key.private_key_to_pem_pkcs8().unwrap();
    let file = folder.path().join(format!("{name}-key.pem"));
    fs::write(&file, pem).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// OpenSSL refuses such keys, without a word that a person understands.
#[test]
fn a_key_that_can_be_broken_is_told() {
    let folder = Folder::new();
    with_rsa(&folder, "weak", 1024);
    with_rsa(&folder, "strong", 2048);
    assert!(
        folder
            .told(&naming("strong.pem", "strong-key.pem", "ca.pem"))
            .is_empty()
    );
    let has = "weak.pem has a key of 1024 bits, which can be broken";
    let own = naming("weak.pem", "weak-key.pem", "ca.pem");
    assert_eq!(
        folder.told(&own),
        [format!(
            "x.toml:15:15: pvd[0].dots[0].certificate: {has}; make one with P-256, or RSA of 2048 bits or more"
        )]
    );
    assert!(load_client(&folder.write(&own)).is_err());
    let anchor = naming("home.pem", "home-key.pem", "weak.pem");
    assert_eq!(
        folder.told(&anchor),
        [format!(
            "x.toml:17:17: pvd[0].dots[0].trust_anchors: {has}, so nothing it issued is trusted; \
             ask for a CA with P-256, or RSA of 2048 bits or more"
        )]
    );
    assert!(load_client(&folder.write(&anchor)).is_ok());
}

#[test]
fn a_client_certificate_is_not_for_a_server() {
    let folder = Folder::new();
    let text = "certificate = \"home.pem\"\nprivate_key = \"home-key.pem\"\ntrust_anchors = \"ca.pem\"\n\
                [[customer]]\nname = \"home\"\nprefixes = [\"203.0.113.0/28\"]\n[mitigator.nftables]\n";
    assert_eq!(
        folder.told(text),
        [
            "x.toml:1:15: certificate: home.pem is not for a server: its extended key usage lacks \
            serverAuth; ask its issuer for one that has it"
        ]
    );
    assert_eq!(load_server(&folder.write(text)).unwrap().warnings.len(), 1);
}
