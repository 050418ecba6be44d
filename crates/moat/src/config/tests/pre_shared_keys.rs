//! Pre-shared keys beside certificates, and instead of them. Covers: X-006

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::{Credentials, load_client, load_server};
use super::{Folder, with};
use crate::pki::{self, PkiCommand, PskArgs, Written};

const HEXADECIMAL: &str = "000102030405060708090a0b0c0d0e0f10111213 14151617\n18191A1B1C1D1E1F\n";
const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";

const SERVER: &str = r#"[[customer]]
name = "home"
psk_identity = "Home 1"
psk_key_file = "home.psk"
prefixes = ["203.0.113.0/28"]
[[customer]]
name = "branch"
psk_identity = "branch"
psk_key_file = "branch.psk"
prefixes = ["203.0.113.16/28"]
"#;

const CLIENT: &str = r#"[[pvd]]
id = "fixed.example"
prefixes = ["203.0.113.0/28"]
[[pvd.dots]]
name = "dots.fixed.example"
addresses = ["203.0.113.129"]
psk_identity = "Home 1"
psk_key_file = "home.psk"
"#;

const CERTIFICATE: &str = "certificate = \"dots.fixed.example.pem\"\n\
                           private_key = \"dots.fixed.example-key.pem\"\ntrust_anchors = \"ca.pem\"\n";

fn folder() -> Folder {
    let folder = Folder::new();
    write(&folder, "home.psk", HEXADECIMAL, 0o600);
    write(&folder, "branch.psk", BASE64, 0o640);
    folder
}

fn write(folder: &Folder, name: &str, content: &str, mode: u32) {
    let file = folder.path().join(name);
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
}

/// The key shows in no `Debug`, so it is looked at by means of a session made with it.
#[test]
fn a_server_and_a_client_read_the_same_key_from_either_notation() {
    let folder = folder();
    let server = load_server(&folder.write(SERVER)).unwrap();
    assert!(server.certificate.is_none());
    let identities: Vec<String> = server
        .pre_shared_keys()
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(identities, ["Home 1", "branch"]);
    for file in ["home.psk", "branch.psk"] {
        let client = load_client(&folder.write(&with(CLIENT, "home.psk", file))).unwrap();
        let Credentials::PreSharedKey(pair) = &client.pvds[0].dots[0].credentials else {
            panic!("{client:?}")
        };
        assert_eq!(pair.identity.as_str(), "Home 1");
        assert_eq!(pair.file, folder.path().join(file));
        assert!(!format!("{client:?}{server:?}").contains("AAEC"));
    }
}

#[test]
fn a_server_may_have_certificates_and_keys() {
    let folder = folder();
    let keys = "psk_identity = \"branch\"\npsk_key_file = \"branch.psk\"\n";
    let text = format!("{CERTIFICATE}{}", with(SERVER, keys, ""));
    let server = load_server(&folder.write(&text)).unwrap();
    assert!(server.certificate.is_some() && server.warnings.is_empty());
    let has_key = |index: usize| server.customers[index].pre_shared_key.is_some();
    assert!(has_key(0) && !has_key(1));
}

#[test]
fn what_is_wrong_with_a_key_is_told_and_its_content_is_not() {
    let folder = folder();
    write(&folder, "open.psk", HEXADECIMAL, 0o644);
    write(&folder, "group.psk", HEXADECIMAL, 0o660);
    write(&folder, "short.psk", "0011223344556677", 0o600);
    write(&folder, "prose.psk", "correct horse battery staple", 0o600);
    write(&folder, "pem.psk", "-----BEGIN PRIVATE KEY-----\n", 0o600);
    write(
        &folder,
        "half.psk",
        "00112233445566778899aabbccddeeff0",
        0o600,
    );
    write(&folder, "long.psk", &"00".repeat(600), 0o600);
    let no_key = |file, why| {
        format!("{file} holds no pre-shared key: {why}; make one: moat pki psk IDENTITY")
    };
    let neither = "its content is neither hexadecimal nor base64";
    let cases = [
        ("open.psk", "open.psk is open to other users of this machine (mode 0644); run: chmod 600 open.psk".to_owned()),
        ("group.psk", "group.psk is open to other users of this machine (mode 0660); run: chmod 600 group.psk".to_owned()),
        ("short.psk", no_key("short.psk", "its key has 8 octets, and 16 to 256 are possible")),
        ("prose.psk", no_key("prose.psk", neither)),
        ("half.psk", no_key("half.psk", neither)),
        ("pem.psk", no_key("pem.psk", "it is a PEM file, as certificates and their keys are in, and not a bare key")),
        ("long.psk", "long.psk is longer than 1024 bytes; name a file with a pre-shared key".to_owned()),
        ("none.psk", "none.psk cannot be read: No such file or directory (os error 2); \
                      check the name; a relative one is looked up from the configuration's folder".to_owned()),
        (HEXADECIMAL, String::new()),
    ];
    for (file, wanted) in cases {
        let text = with(CLIENT, "\"home.psk\"", &format!("{file:?}"));
        let told = folder.told(&text);
        if file == HEXADECIMAL {
            assert!(!told.concat().contains("0a0b0c0d"), "{told:?}");
        } else {
            assert_eq!(
                told,
                [format!(
                    "x.toml:8:16: pvd[0].dots[0].psk_key_file: {wanted}"
                )]
            );
        }
        assert!(load_client(&folder.write(&text)).is_err());
    }
}

#[test]
fn credentials_that_are_missing_or_too_many_are_told() {
    let folder = folder();
    let keys = "psk_identity = \"Home 1\"\npsk_key_file = \"home.psk\"\n";
    assert_eq!(
        folder.told(&with(CLIENT, keys, "")),
        [
            "x.toml:4:1: pvd[0].dots[0]: there are no credentials; write certificate, private_key and trust_anchors, \
          or psk_identity and psk_key_file"
        ]
    );
    let certificate = CERTIFICATE.replace("dots.fixed.example", "home");
    assert_eq!(
        folder.told(&format!("{CLIENT}{certificate}")),
        [
            "x.toml:4:1: pvd[0].dots[0]: there are credentials of both kinds; delete certificate, private_key and \
          trust_anchors, or psk_identity and psk_key_file"
        ]
    );
    assert_eq!(
        folder.told(&with(CLIENT, "psk_identity = \"Home 1\"\n", "")),
        [
            "x.toml:4:1: pvd[0].dots[0].psk_identity: is missing; write psk_identity = \"home.example.net\""
        ]
    );
    assert_eq!(
        folder.told(&with(CLIENT, "\"Home 1\"", "\"\"")),
        [
            "x.toml:7:16: pvd[0].dots[0].psk_identity: \"\" is not a PSK identity: 1 to 128 octets without control \
          characters; write it like home.example.net"
        ]
    );
    assert_eq!(
        folder.told(&with(SERVER, keys, "")),
        [
            "x.toml:1:1: customer[0]: home has no psk_identity, so it needs a certificate, and this server has none to \
          answer with; write certificate, private_key and trust_anchors at the top, or psk_identity and psk_key_file \
          here"
        ]
    );
}

/// What `moat pki psk` prints is what both files need.
#[test]
fn a_key_that_moat_made_is_read_on_both_sides() {
    let folder = Folder::new();
    let make = |force| {
        let args = PskArgs {
            identity: dtls::PskIdentity::new("up/link \"1\"").unwrap(),
            dir: folder.path().join("keys"),
            force,
        };
        pki::make(PkiCommand::Psk(args))
    };
    let made = make(false).unwrap();
    let file = folder.path().join("keys/up_link__1_.psk");
    let key = fs::read_to_string(&file).unwrap();
    assert_eq!(key.len(), 65);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let (text, json) = (made.to_string(), serde_json::to_string(&made).unwrap());
    assert!(!text.contains(key.trim()) && !json.contains(key.trim()));
    assert!(matches!(made, Written::Key(_)));
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
    let with_lines = |text| {
        let text = with(
            text,
            "psk_identity = \"Home 1\"\n",
            &format!("{}\n", lines[0]),
        );
        with(
            &text,
            "psk_key_file = \"home.psk\"\n",
            &format!("{}\n", lines[1]),
        )
    };
    assert_eq!(folder.told(&with_lines(CLIENT)), [""; 0]);
    fs::copy(&file, folder.path().join("branch.psk")).unwrap();
    assert_eq!(folder.told(&with_lines(SERVER)), [""; 0]);
    // Nothing is replaced by accident.
    assert!(
        make(false)
            .unwrap_err()
            .to_string()
            .contains("exists already")
    );
    make(true).unwrap();
    assert_ne!(fs::read_to_string(&file).unwrap(), key);
}

#[test]
fn a_key_belongs_to_one_customer() {
    let folder = folder();
    let twice = with(
        &with(SERVER, "\"branch\"\npsk_key", "\"Home 1\"\npsk_key"),
        "branch.psk",
        "./home.psk",
    );
    assert_eq!(
        folder.told(&twice),
        [
            "x.toml:8:16: customer[1].psk_identity: \"Home 1\" is used by customer[0].psk_identity already (line 3); \
             give this one a name of its own",
            "x.toml:9:16: customer[1].psk_key_file: is the same key file as that of customer[0].psk_key_file (line 4), \
             so each can pass for the other; give each customer its own",
        ]
    );
}
