//! What `moat pki` makes, as the `openssl` program and the file system see it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use tempfile::TempDir;

use super::{PkiCommand, PkiError, Written, WrittenCertificate, make};

#[derive(Debug, Parser)]
struct Pki {
    #[command(subcommand)]
    command: PkiCommand,
}

/// Runs `moat pki` with these arguments; `DIR` is the folder.
fn pki(dir: &Path, line: &str) -> Result<Written, PkiError> {
    make(parse(dir, line).unwrap_or_else(|error| panic!("{error}")))
}

/// The certificate that it makes.
fn certificate(dir: &Path, line: &str) -> WrittenCertificate {
    match pki(dir, line).unwrap() {
        Written::Certificate(certificate) => certificate,
        other => panic!("{other}"),
    }
}

fn parse(dir: &Path, line: &str) -> Result<PkiCommand, clap::Error> {
    let dir = dir.to_str().unwrap();
    let words = line
        .split(' ')
        .map(|word| if word == "DIR" { dir } else { word });
    Pki::try_parse_from(std::iter::once("pki").chain(words)).map(|pki| pki.command)
}

fn ca() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    pki(dir.path(), "init --dir DIR --name Fixed").unwrap();
    dir
}

/// What the `openssl` program prints, with whether it succeeded; `None` where it is not installed.
fn openssl(dir: &Path, line: &str) -> Option<(bool, String)> {
    let run = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(dir)
        .output();
    let Ok(output) = run else {
        println!("SKIPPED: the openssl program is not installed");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

///
#[test]
fn openssl_verifies_each_certificate_for_its_purpose_and_no_other() {
    let dir = ca();
    let dir = dir.path();
    pki(
        dir,
        "issue --dir DIR --server dots.fixed.example --address 203.0.113.129",
    )
    .unwrap();
    pki(dir, "issue --dir DIR --client home").unwrap();
    pki(dir, "issue --dir DIR --client old --expired").unwrap();
    let other = ca();
    fs::copy(other.path().join("ca.pem"), dir.join("other.pem")).unwrap();
    let cases = [
        (
            "-purpose sslserver -verify_hostname dots.fixed.example -CAfile ca.pem dots.fixed.example.pem",
            "OK",
        ),
        (
            "-purpose sslserver -verify_ip 203.0.113.129 -CAfile ca.pem dots.fixed.example.pem",
            "OK",
        ),
        ("-purpose sslclient -CAfile ca.pem home.pem", "OK"),
        (
            "-purpose sslserver -verify_hostname dots.example -CAfile ca.pem dots.fixed.example.pem",
            "hostname mismatch",
        ),
        (
            "-purpose sslclient -CAfile ca.pem dots.fixed.example.pem",
            "purpose",
        ),
        ("-purpose sslserver -CAfile ca.pem home.pem", "purpose"),
        ("-purpose sslclient -CAfile ca.pem old.pem", "has expired"),
        ("-purpose sslclient -CAfile other.pem home.pem", "error"),
        // A leaf is no CA, also for itself.
        (
            "-purpose sslclient -partial_chain -CAfile home.pem old.pem",
            "unable to get local issuer",
        ),
    ];
    for (line, wanted) in cases {
        let Some((verified, text)) = openssl(dir, &format!("verify -x509_strict {line}")) else {
            return;
        };
        assert!(text.contains(wanted), "{line}: {text}");
        assert_eq!(verified, wanted == "OK", "{line}: {text}");
    }
}

#[test]
fn the_extensions_are_those_of_rfc_5280() {
    let dir = ca();
    let dir = dir.path();
    pki(
        dir,
        "issue --dir DIR --server dots.fixed.example --address 2001:db8::1",
    )
    .unwrap();
    pki(dir, "issue --dir DIR --client home").unwrap();
    let cases: [(&str, &[&str]); 3] = [
        (
            "ca",
            &[
                "Version: 3",
                "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0",
                "X509v3 Key Usage: critical Certificate Sign, CRL Sign",
                "X509v3 Subject Key Identifier:",
                "Subject: CN = Fixed",
            ],
        ),
        (
            "dots.fixed.example",
            &[
                "Version: 3",
                "Signature Algorithm: ecdsa-with-SHA256",
                "NIST CURVE: P-256",
                "Issuer: CN = Fixed",
                "Subject: CN = dots.fixed.example",
                "X509v3 Basic Constraints: critical CA:FALSE",
                "X509v3 Key Usage: critical Digital Signature",
                "X509v3 Extended Key Usage: TLS Web Server Authentication",
                "X509v3 Subject Key Identifier:",
                "X509v3 Authority Key Identifier:",
                "DNS:dots.fixed.example, IP Address:2001:DB8:0:0:0:0:0:1",
            ],
        ),
        (
            "home",
            &[
                "X509v3 Extended Key Usage: TLS Web Client Authentication",
                "X509v3 Subject Alternative Name: DNS:home ",
            ],
        ),
    ];
    for (name, wanted) in cases {
        let Some((_, text)) = openssl(dir, &format!("x509 -in {name}.pem -noout -text")) else {
            return;
        };
        // Versions of the program differ in spaces.
        let text = text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace("CN=", "CN = ");
        for part in wanted {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}

/// The CA's end is the certificate's: beyond it nobody could verify it.
#[test]
fn a_certificate_ends_with_its_ca() {
    let dir = tempfile::tempdir().unwrap();
    let ends = |line| certificate(dir.path(), line).not_after;
    let ca = ends("init --dir DIR --name Short --days 10");
    assert_eq!(ends("issue --dir DIR --client home"), ca);
    let short = ends("issue --dir DIR --client guest --days 5");
    assert!((ca - short - 5 * 86_400).abs() < 60);
}

#[test]
fn a_name_too_long_for_a_common_name_is_in_the_alternative_name_alone() {
    let dir = ca();
    let name = ["a".repeat(60), "b".repeat(60), "example".to_owned()].join(".");
    pki(dir.path(), &format!("issue --dir DIR --server {name}")).unwrap();
    let line = format!("verify -x509_strict -verify_hostname {name} -CAfile ca.pem {name}.pem");
    let Some((verified, text)) = openssl(dir.path(), &line) else {
        return;
    };
    assert!(verified, "{text}");
    let Some((_, text)) = openssl(dir.path(), &format!("x509 -in {name}.pem -noout -text")) else {
        return;
    };
    assert!(
        text.contains("X509v3 Subject Alternative Name: critical"),
        "{text}"
    );
}

#[test]
fn keys_are_readable_by_their_owner_alone_and_certificates_by_all() {
    let dir = ca();
    let made = certificate(dir.path(), "issue --dir DIR --client home");
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&made.certificate), mode(&made.private_key)),
        (0o644, 0o600)
    );
    assert_eq!(mode(&dir.path().join("ca-key.pem")), 0o600);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        4,
        "no temporary file is left"
    );
}

#[test]
fn nothing_is_replaced_without_force() {
    let dir = ca();
    let dir = dir.path();
    pki(dir, "issue --dir DIR --client home").unwrap();
    let content = |name: &str| fs::read(dir.join(name)).unwrap();
    let before = (
        content("ca.pem"),
        content("ca-key.pem"),
        content("home.pem"),
        content("home-key.pem"),
    );
    let told = pki(dir, "init --dir DIR --name Other")
        .unwrap_err()
        .to_string();
    let wanted = format!(
        "{}/ca.pem exists already; use another --dir, or --force to replace it",
        dir.display()
    );
    assert_eq!(told, wanted);
    assert!(matches!(
        pki(dir, "issue --dir DIR --server home"),
        Err(PkiError::Exists(_))
    ));
    fs::remove_file(dir.join("home.pem")).unwrap();
    assert!(matches!(
        pki(dir, "issue --dir DIR --client home"),
        Err(PkiError::Exists(_))
    ));
    fs::write(dir.join("home.pem"), &before.2).unwrap();
    assert_eq!(
        before,
        (
            content("ca.pem"),
            content("ca-key.pem"),
            content("home.pem"),
            content("home-key.pem")
        )
    );

    pki(dir, "issue --dir DIR --client home --force").unwrap();
    pki(dir, "init --dir DIR --name Other --force").unwrap();
    assert_ne!(before.2, content("home.pem"));
    assert_ne!(before.1, content("ca-key.pem"));
}

#[test]
fn a_missing_or_broken_ca_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let told = |line: &str| {
        pki(dir, line)
            .unwrap_err()
            .to_string()
            .replace(dir.to_str().unwrap(), "DIR")
    };
    let again = "make a new CA: moat pki init --dir DIR --name NAME --force";
    assert_eq!(
        told("issue --dir DIR --client home"),
        "DIR/ca.pem is missing: there is no CA in this folder; make one: moat pki init --dir DIR --name NAME"
    );
    pki(dir, "init --dir DIR --name Fixed").unwrap();
    pki(dir, "issue --dir DIR --client home").unwrap();
    let (ca, key) = (
        fs::read(dir.join("ca.pem")).unwrap(),
        fs::read(dir.join("ca-key.pem")).unwrap(),
    );
    fs::write(dir.join("ca-key.pem"), "").unwrap();
    assert_eq!(
        told("issue --dir DIR --client x"),
        format!("DIR/ca-key.pem is not an unencrypted private key; {again}")
    );
    fs::copy(dir.join("home-key.pem"), dir.join("ca-key.pem")).unwrap();
    let wrong_key =
        format!("DIR/ca-key.pem is not the key of a CA's certificate in ca.pem; {again}");
    assert_eq!(told("issue --dir DIR --client x"), wrong_key);
    fs::copy(dir.join("home.pem"), dir.join("ca.pem")).unwrap();
    assert_eq!(
        told("issue --dir DIR --client x"),
        wrong_key,
        "a leaf does not issue"
    );
    fs::write(dir.join("ca.pem"), "no certificate").unwrap();
    assert_eq!(
        told("issue --dir DIR --client x"),
        format!("DIR/ca.pem is not a certificate; {again}")
    );
    fs::write(dir.join("ca.pem"), ca).unwrap();
    fs::write(dir.join("ca-key.pem"), key).unwrap();
    pki(dir, "issue --dir DIR --client x").unwrap();
}

#[test]
fn names_that_would_leave_the_folder_or_take_the_cas_files_are_refused() {
    let dir = ca();
    for name in [
        "../home",
        "a/b",
        "",
        "*.example",
        "home_1",
        "203.0.113.1",
        "-x",
        "a..b",
        "home.",
    ] {
        assert!(
            parse(dir.path(), &format!("issue --dir DIR --client {name}")).is_err(),
            "{name}"
        );
    }
    for name in ["ca", "CA", "home-key"] {
        let refused = pki(
            dir.path(),
            &format!("issue --dir DIR --client {name} --force"),
        );
        assert!(
            matches!(refused, Err(PkiError::ReservedName { .. })),
            "{name}"
        );
    }
    for line in [
        "init --dir DIR --name ",
        "issue --dir DIR",
        "issue --dir DIR --client a --server b",
    ] {
        assert!(parse(dir.path(), line).is_err(), "{line}");
    }
    assert!(parse(dir.path(), "issue --dir DIR --client a --days 0").is_err());
}

#[test]
fn the_result_says_what_was_written_and_what_is_next() {
    let dir = ca();
    let made = pki(dir.path(), "issue --dir DIR --client home").unwrap();
    let text = made
        .to_string()
        .replace(dir.path().to_str().unwrap(), "DIR");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "wrote DIR/home.pem",
            "wrote DIR/home-key.pem (keep it secret)"
        ]
    );
    assert!(
        lines[2].starts_with("next: ")
            && lines[2].ends_with("in the server's [[customer]]: name = \"home\"")
    );
    let json = serde_json::to_value(&made).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["certificate", "name", "not_after", "private_key"]);
}
