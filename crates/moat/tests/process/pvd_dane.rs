//! The keys of a PvD in the DNS: a zone that BIND signs, and anchors that lead to it.

use std::fs;
use std::process::{Child, Command, Stdio};

use openssl::sha::sha256;
use openssl::x509::X509;
use serde_json::Value;

use crate::pvd_signed::signed;
use crate::pvd_watch::{explicit, ip, json, resolver, send};
use crate::support::{Daemon, INSIDE, MOAT, Outcome, Web, isolated, run, until};

const RESOLVER: &str = "2001:db8:f::53";

/// BIND for the zones `fixed.example`, with keys of the PvD, and `mobile.example` without, both signed; killed when dropped.
struct SignedZones(Child);

impl SignedZones {
    /// `anchor` leads to both.
    fn start(web: &Web, tlsa: &str) -> Outcome<Self> {
        fs::create_dir(web.file("dns"))?;
        let mut zones = String::new();
        for (name, more) in [("fixed", tlsa), ("mobile", "")] {
            let text = format!(
                "$TTL 60\n@ IN SOA ns.invalid. host.invalid. 1 3600 600 86400 60\n@ IN NS ns.invalid.\n@ IN AAAA 2001:db8:f::80\n{more}\n"
            );
            web.write(&format!("dns/{name}.example"), &text)?;
            zones += &format!(
                "zone \"{name}.example\" {{ type primary; file \"{name}.example\"; dnssec-policy default; inline-signing yes; }};\n"
            );
        }
        let folder = web.file("dns").display().to_string();
        web.write(
            "dns/named.conf",
            &format!(
                "options {{ directory \"{folder}\"; pid-file none; session-keyfile none; lock-file none;\n\
                 listen-on-v6 port 53 {{ {RESOLVER}; }}; listen-on {{ none; }};\n\
                 recursion no; dnssec-validation no; notify no; }};\ncontrols {{ }};\n{zones}"
            ),
        )?;
        let log = fs::File::create(web.file("dns/log"))?;
        let child = Command::new("named")
            .args(["-g", "-c", &format!("{folder}/named.conf")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let server = Self(child);
        until("the zones are signed", || {
            let log = fs::read_to_string(web.file("dns/log"))?;
            Ok(log.matches("next key event").count() >= 2)
        })?;
        let mut all = String::new();
        for entry in fs::read_dir(web.file("dns"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "key") {
                let key = fs::read_to_string(&path)?;
                if key.contains("mobile.example") {
                    web.write("mobile-anchor", &key)?;
                }
                all += &key;
            }
        }
        web.write("anchor", &all)?;
        Ok(server)
    }
}

impl Drop for SignedZones {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The TLSA record of a certificate's key (RFC 7671 §5.1).
fn tlsa(web: &Web, certificate: &str) -> Outcome<String> {
    let certificate = X509::from_pem(&fs::read(web.file(certificate))?)?;
    let key = certificate.public_key()?.public_key_to_der()?;
    let digest: String = sha256(&key).iter().map(|it| format!("{it:02x}")).collect();
    Ok(format!("_443._tcp IN TLSA 3 1 1 {digest}"))
}

/// `moat pvd verify`: by what it is proved, or why not.
fn verify(web: &Web, object: &str, anchor: &str, more: &[&str]) -> Outcome<String> {
    let output = Command::new(MOAT)
        .args([
            "pvd", "verify", object, "--json", "--dane", "--dns", RESOLVER,
        ])
        .args(["--dnssec-anchors", anchor])
        .args(more)
        .current_dir(web.file(""))
        .output()?;
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let told = told["proved_by"]
        .as_str()
        .or(told["error"]["reason"].as_str());
    Ok(told.ok_or("nothing is told")?.to_owned())
}

/// Covers: P-036, P-038, P-039
#[test]
fn a_key_in_dnssec_binds_and_leaves_no_room_for_others() -> Outcome {
    isolated(&["named"], || {
        let web = Web::new()?;
        for address in ["fe80::1", "fe80::2"] {
            ip(&format!("address add {address}/64 dev lo"))?;
        }
        let _zones = SignedZones::start(&web, &tlsa(&web, "fixed.example.pem")?)?;
        web.write("fixed.jws", &signed(&web)?)?;
        assert_eq!(verify(&web, "fixed.jws", "anchor", &[])?, "dane");

        // A certificate for the name from an authority that is believed, with another key.
        let dir = web.file("").display().to_string();
        run(
            MOAT,
            &[
                "pki",
                "issue",
                "--dir",
                &dir,
                "--server",
                "fixed.example",
                "--force",
            ],
        )?;
        web.write("second.jws", &signed(&web)?)?;
        let second = verify(&web, "second.jws", "anchor", &["--authorities", "ca.pem"])?;
        let expected = "not proved: its key is none of those that the DNS has for fixed.example";
        assert_eq!(second, expected);
        // What nobody proves could have been cut out by who was asked.
        let unknown = verify(
            &web,
            "fixed.jws",
            "mobile-anchor",
            &["--authorities", "ca.pem"],
        )?;
        let expected = "not proved: DNSSEC does not say which keys fixed.example has";
        assert!(unknown.starts_with(expected), "{unknown}");

        let anchor = web.file("anchor").display().to_string();
        let dane = ["--dane", "--dnssec-anchors", &anchor];
        web.replace(
            "fixed.example.jws",
            &fs::read_to_string(web.file("fixed.jws"))?,
        )?;
        let server = web.serve("")?;
        let (code, told) = web.fetch(INSIDE, &[&["--signed"], &dane[..]].concat())?;
        assert_eq!(code, 0, "{told}");
        assert_eq!(told["proved_by"], "signature, key in DNSSEC", "{told}");
        drop(server);

        // A file waits for the DNS of its PvD.
        fs::create_dir(web.file("stick"))?;
        fs::copy(web.file("fixed.jws"), web.file("stick/fixed.jws"))?;
        let [stick, socket, authorities] =
            ["stick", "pvd.sock", "ca.pem"].map(|name| web.file(name).display().to_string());
        let fixed = ["pvd", "watch", "--interface", "lo=wired", "--fetch", "none"];
        let files = [
            "--objects",
            &stick,
            "--control",
            &socket,
            "--authorities",
            &authorities,
        ];
        let mut daemon = Daemon::run(&[&fixed[..], &files, &dane].concat())?;
        daemon.wait_for("a signed object waits for its PvD")?;
        assert_eq!(json(&socket, &["shelf"])?, Value::Array(Vec::new()));
        let heard = explicit(7, vec![resolver(RESOLVER)?])?;
        until("it is known", || {
            send(("fe80::1", "fe80::2".parse()?), ("lo", 1), &heard)?;
            let view = json(&socket, &["show", "fixed.example"])?;
            Ok(view["information"]["evidence"] == "signature, key in DNSSEC")
        })
    })
}

/// Covers: P-038
#[test]
fn where_dnssec_proves_that_there_is_no_key_an_authority_binds() -> Outcome {
    isolated(&["named"], || {
        let web = Web::new()?;
        let _zones = SignedZones::start(&web, "")?;
        web.write("fixed.jws", &signed(&web)?)?;
        let bound = verify(&web, "fixed.jws", "anchor", &["--authorities", "ca.pem"])?;
        assert_eq!(bound, "certificate");
        let alone = verify(&web, "fixed.jws", "anchor", &[])?;
        assert!(
            alone.starts_with("not proved: its certificate is not valid"),
            "{alone}"
        );
        Ok(())
    })
}

/// Covers: P-038. Whoever is asked may say that there is nothing; that proves nothing.
#[test]
fn a_resolver_that_denies_without_proof_is_not_believed() -> Outcome {
    isolated(&["dnssec-keygen"], || {
        let web = Web::new()?;
        let _askers = web.resolve(&[("fixed.example", "2001:db8:f::80")])?;
        let folder = web.file("").display().to_string();
        let algorithm = ["-a", "ECDSAP256SHA256", "-f", "KSK", "fixed.example"];
        let name = run(
            "dnssec-keygen",
            &[&["-K", &folder][..], &algorithm].concat(),
        )?;
        let anchor = format!("{}.key", name.trim());
        web.write("fixed.jws", &signed(&web)?)?;
        let told = verify(&web, "fixed.jws", &anchor, &["--authorities", "ca.pem"])?;
        let expected = "not proved: DNSSEC does not say which keys fixed.example has";
        assert!(told.starts_with(expected), "{told}");
        Ok(())
    })
}
