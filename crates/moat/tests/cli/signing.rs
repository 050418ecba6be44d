//! An object is signed with what `moat pki` makes, and proves itself as a file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::x509::X509;

use super::support::{Ran, folder, moat};

const OBJECT: &str = r#"{"identifier":"cafe.example.","expires":"2999-05-23T06:00:00Z","prefixes":["2001:db8:1::/48"],"x":1}"#;

fn run(folder: &Path, line: &str) -> Ran {
    moat(folder, line.split(' '))
}

/// Covers: P-036, P-038, P-039
#[test]
fn an_object_signed_for_its_pvd_proves_itself_and_no_other() {
    let folder = folder();
    let path = folder.path();
    assert_eq!(run(path, "pki issue --server cafe.example").code, Some(0));
    fs::write(path.join("cafe.json"), OBJECT).unwrap();
    let sign = "pvd sign cafe.json --key cafe.example-key.pem";
    let signed = run(path, &format!("{sign} --certificate cafe.example.pem"));
    assert_eq!(signed.code, Some(0), "{}", signed.stderr);
    fs::write(path.join("cafe.jose"), &signed.stdout).unwrap();

    let verify = |rest: &str| run(path, &format!("pvd verify cafe.jose --json {rest}"));
    let proof = verify("--authorities ca.pem --pvd Cafe.example.");
    assert_eq!(proof.code, Some(0), "{}", proof.stdout);
    let json = proof.json();
    assert_eq!(json["pvd"], "cafe.example");
    assert_eq!(json["proved_by"], "certificate");
    assert_eq!(json["object"]["prefixes"][0], "2001:db8:1::/48");
    assert_eq!(json["ignored"][0], "x is no key that is known");
    let shown = run(path, "pvd verify cafe.jose --authorities ca.pem").stdout;
    assert!(
        shown.starts_with("cafe.example: proved by signature, certificate for the name\n"),
        "{shown}"
    );

    let pem = fs::read(path.join("cafe.example.pem")).unwrap();
    let key = X509::from_pem(&pem).unwrap().public_key().unwrap();
    fs::write(path.join("cafe.pub"), key.public_key_to_pem().unwrap()).unwrap();
    let proof = verify("--pvd cafe.example --pin cafe.pub").json();
    assert_eq!(proof["proved_by"], "pinned");
    let digest = sha256(&key.public_key_to_der().unwrap());
    let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let record = format!("3 1 1 {digest}");
    let words = [
        "pvd",
        "verify",
        "cafe.jose",
        "--json",
        "--pvd",
        "cafe.example",
        "--tlsa",
        &record,
    ];
    assert_eq!(moat(path, words).json()["proved_by"], "dane");

    let reason = |ran: Ran| {
        assert_eq!(ran.code, Some(1), "{}", ran.stdout);
        ran.json()["error"]["reason"].as_str().unwrap().to_owned()
    };
    let other = reason(verify("--authorities ca.pem --pvd other.example"));
    assert_eq!(
        other,
        "it is about cafe.example, and not about other.example"
    );
    let unknown = reason(verify("--pvd other.example --pin cafe.pub"));
    assert!(
        unknown.starts_with("not proved: its certificate is not valid"),
        "{unknown}"
    );
    let (signed, signature) = signed.stdout.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    fs::write(
        path.join("cafe.jose"),
        format!("{signed}.{other}{}", &signature[1..]),
    )
    .unwrap();
    let forged = reason(verify("--authorities ca.pem"));
    assert_eq!(
        forged,
        "not proved: the signature is not one of its key over this object"
    );
}

#[test]
fn what_would_prove_nothing_is_not_signed() {
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("cafe.json"), OBJECT).unwrap();
    let sign = |rest: &str| run(path, &format!("pvd sign cafe.json {rest}"));
    let key = "--key dots.fixed.example-key.pem";
    let other = sign(&format!("{key} --certificate dots.fixed.example.pem"));
    assert_eq!(other.code, Some(1));
    assert!(
        other
            .stderr
            .contains("the first certificate is not for cafe.example"),
        "{}",
        other.stderr
    );
    assert_eq!(sign(&format!("{key} --certificate ca.pem")).code, Some(1));
    assert_eq!(sign(&format!("{key} --key-id 1")).code, Some(0));
    fs::write(path.join("cafe.json"), OBJECT.replace("2999", "2020")).unwrap();
    let expired = sign(&format!("{key} --key-id 1"));
    assert_eq!(expired.code, Some(1));
    assert!(
        expired.stderr.contains("it has expired"),
        "{}",
        expired.stderr
    );
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(path.join("dots.fixed.example-key.pem"), open).unwrap();
    let open = sign(&format!("{key} --key-id 1"));
    assert_eq!((open.code, open.stdout.as_str()), (Some(2), ""));
    assert!(
        open.stderr.contains("can be read by others"),
        "{}",
        open.stderr
    );
}

/// Covers: P-039, P-050
#[test]
fn a_signed_object_goes_into_a_qr_code_and_comes_back() {
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("cafe.json"), OBJECT).unwrap();
    let key = fs::read(path.join("dots.fixed.example-key.pem")).unwrap();
    let key = PKey::private_key_from_pem(&key).unwrap();
    fs::write(path.join("cafe.pub"), key.public_key_to_pem().unwrap()).unwrap();
    let sign = "pvd sign cafe.json --key dots.fixed.example-key.pem --key-id cafe";
    let signed = run(path, sign).stdout;
    fs::write(path.join("cafe.jose"), &signed).unwrap();

    let text = run(path, "pvd qr cafe.jose --text");
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.starts_with("PVD1:"), "{}", text.stdout);
    fs::write(path.join("cafe.txt"), &text.stdout).unwrap();
    let verify = "pvd verify cafe.txt --pvd cafe.example --pin cafe.pub --json";
    assert_eq!(run(path, verify).json()["proved_by"], "pinned");
    let again = run(path, "pvd qr cafe.txt --text").stdout;
    assert_eq!(again, text.stdout);

    let drawn = run(path, "pvd qr cafe.jose").stdout;
    let widths: Vec<_> = drawn.lines().map(|line| line.chars().count()).collect();
    // A square of modules, two of which are one above the other in a line.
    assert!(widths.len() > 20 && widths.iter().all(|width| *width == widths[0]));
    assert_eq!(widths.len(), widths[0].div_ceil(2));

    let broken = text.stdout.replace("PVD1:", "PVD1::::");
    fs::write(path.join("cafe.txt"), broken).unwrap();
    let broken = run(path, verify);
    assert_eq!(broken.code, Some(1));
    assert!(broken.stdout.contains("in base45"), "{}", broken.stdout);

    let zones: Vec<_> = (0..400).map(|it| format!("\"z{it}.example\"")).collect();
    let long = OBJECT.replace("\"x\":1", &format!("\"dnsZones\":[{}]", zones.join(",")));
    fs::write(path.join("cafe.json"), long).unwrap();
    fs::write(path.join("cafe.jose"), run(path, sign).stdout).unwrap();
    let long = run(path, "pvd qr cafe.jose");
    assert_eq!(long.code, Some(1));
    let told = "more than a QR code has room for";
    assert!(long.stderr.contains(told), "{}", long.stderr);
}
