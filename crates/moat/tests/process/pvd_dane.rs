//! The keys of a PvD in the DNS: a zone that BIND signs, and anchors that lead to it.

use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use openssl::sha::sha256;
use openssl::x509::X509;
use serde_json::Value;

use crate::pvd_signed::signed;
use crate::pvd_watch::{explicit, ip, json, resolver, send};
use crate::support::{Daemon, INSIDE, MOAT, Outcome, Web, isolated, run, until};

const RESOLVER: &str = "2001:db8:f::53";
const LIAR: &str = "2001:db8:f::54";

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

/// Passes questions on, and denies that there are keys in the words of another zone, which is not signed.
fn lie() -> Outcome {
    let liar = UdpSocket::bind((LIAR, 53))?;
    thread::spawn(move || -> Option<()> {
        let honest = UdpSocket::bind("[::]:0").ok()?;
        honest.connect((RESOLVER, 53)).ok()?;
        honest.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let mut packet = [0; 4096];
        loop {
            let (length, asker) = liar.recv_from(&mut packet).ok()?;
            let question = packet.get(..length)?.to_vec();
            let answer = match question.windows(4).any(|it| it == b"_443") {
                true => denial(&question)?,
                false => {
                    honest.send(&question).ok()?;
                    let Ok(length) = honest.recv(&mut packet) else {
                        continue;
                    };
                    packet.get(..length)?.to_vec()
                }
            };
            liar.send_to(&answer, asker).ok()?;
        }
    });
    Ok(())
}

/// Nothing, by the word of `open.fixed.example` (RFC 2308 §2.2).
fn denial(question: &[u8]) -> Option<Vec<u8>> {
    let end = 12 + question.get(12..)?.iter().position(|octet| *octet == 0)? + 5;
    let mut answer = question.get(..2)?.to_vec();
    answer.extend([0x85, 0x80, 0, 1, 0, 0, 0, 1, 0, 0]);
    answer.extend(question.get(12..end)?);
    answer.extend(b"\x04open\x05fixed\x07example\0");
    // SOA, IN, a minute; two names of one label and five numbers.
    answer.extend([0, 6, 0, 1, 0, 0, 0, 60, 0, 26]);
    answer.extend(b"\x01a\0\x01b\0");
    for number in [1_u32, 3600, 600, 86_400, 60] {
        answer.extend(number.to_be_bytes());
    }
    Some(answer)
}

/// `moat pvd verify`: by what it is proved, or why not.
fn verify(web: &Web, object: &str, anchor: &str, more: &[&str]) -> Outcome<String> {
    let output = Command::new(MOAT)
        .args(["pvd", "verify", object, "--json", "--dane"])
        .args(if more.contains(&"--dns") {
            &[][..]
        } else {
            &["--dns", RESOLVER]
        })
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
        // So it is where the PvD is named.
        let named = ["--authorities", "ca.pem", "--pvd", "fixed.example"];
        assert_eq!(verify(&web, "second.jws", "anchor", &named)?, expected);
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
        // Another one that says the same of itself takes its place by no name.
        let forged = fs::read_to_string(web.file("second.jws"))?;
        for name in ["a.jws", "z.jws"] {
            fs::write(web.file(&format!("stick/{name}")), &forged)?;
        }
        let [stick, socket, authorities] =
            ["stick", "pvd.sock", "ca.pem"].map(|name| web.file(name).display().to_string());
        let files = ["--objects", &stick, "--authorities", &authorities];
        let more = [&["--fetch", "none"][..], &files, &dane].concat();
        let mut daemon = Daemon::watch("lo=wired", &socket, &more)?;
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

/// Covers: P-038. That some zone is not signed says nothing of another one.
#[test]
fn a_denial_in_the_words_of_an_unsigned_zone_elsewhere_is_not_believed() -> Outcome {
    isolated(&["named"], || {
        let web = Web::new()?;
        ip(&format!("address add {LIAR}/128 dev lo nodad"))?;
        let keys = format!(
            "open IN NS ns.invalid.\n{}",
            tlsa(&web, "fixed.example.pem")?
        );
        let _zones = SignedZones::start(&web, &keys)?;
        lie()?;
        web.write("fixed.jws", &signed(&web)?)?;
        let honest = verify(&web, "fixed.jws", "anchor", &["--authorities", "ca.pem"])?;
        assert_eq!(honest, "dane");
        let more = ["--authorities", "ca.pem", "--dns", LIAR];
        let lied = verify(&web, "fixed.jws", "anchor", &more)?;
        let expected = "not proved: DNSSEC does not say which keys fixed.example has";
        assert!(lied.starts_with(expected), "{lied}");
        Ok(())
    })
}
