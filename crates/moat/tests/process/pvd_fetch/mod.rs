//! `moat pvd fetch`, from moat's own server, from `openssl s_server`, and over redirects (RFC 8801 §4.1).

mod hostile;

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use openssl::x509::X509;

use crate::support::{
    HostileWeb, INSIDE, OBJECT, OUTSIDE, Outcome, Web, compact, isolated, run, until,
};

/// A good head, before the type and the length.
const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n";

/// Where fixed.example is, and others that it may send somebody to.
const NAMES: [(&str, &str); 7] = [
    ("fixed.example", "2001:db8:f::80"),
    ("a.fixed.example", "2001:db8:f::81"),
    ("elsewhere.example", "2001:db8:f::81"),
    ("loop.example", "::1"),
    ("loop4.example", "127.0.0.1"),
    ("link.example", "fe80::1"),
    ("group.example", "ff02::1"),
];

fn good(media_type: &str, content: &str) -> String {
    let length = content.len();
    format!("{OK}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{content}")
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

/// A server at `address` with the certificate of `name`.
fn server(web: &Web, address: &str, name: &str, answer: &str) -> Outcome<HostileWeb> {
    let [certificate, key] = ["", "-key"].map(|end| web.file(&format!("{name}{end}.pem")));
    HostileWeb::start(address, (&certificate, &key), answer)
}

/// Covers: P-014, P-015, P-016, P-019, P-027, P-037
#[test]
fn an_object_is_fetched_from_moat_within_its_pvd() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let _server = web.serve("")?;
        let askers = web.resolve(&NAMES)?;
        let (code, told) = web.fetch(INSIDE, &[])?;
        assert_eq!(
            (code, told["proved_by"].as_str()),
            (0, Some("TLS")),
            "{told}"
        );
        assert_eq!(told["object"]["identifier"], "fixed.example.");
        assert_eq!(told["from"], "https://fixed.example/.well-known/pvd");
        assert!(told.get("signed").is_none());

        let (code, told) = web.fetch(INSIDE, &["--signed"])?;
        assert_eq!(code, 0, "{told}");
        assert_eq!(told["signed"].as_str(), Some(compact(OBJECT).trim()));
        assert_eq!(told["object"]["identifier"], "fixed.example.");

        // The address to come from decides, also over who gets an answer.
        let (code, told) = web.fetch(OUTSIDE, &[])?;
        assert_eq!(code, 1);
        assert_eq!(told["error"]["reason"], "the server says 403 Forbidden");
        let asked_from: Vec<String> = match askers.lock() {
            Ok(askers) => askers.iter().map(ToString::to_string).collect(),
            Err(_) => return Err("the resolver panicked".into()),
        };
        let (outside, inside): (Vec<_>, Vec<_>) =
            asked_from.iter().partition(|from| *from == OUTSIDE);
        assert!(
            !outside.is_empty() && inside.iter().all(|from| *from == INSIDE),
            "{asked_from:?}"
        );

        // What cannot be had is passed over: the next address is used.
        let (code, told) = web.fetch("2001:db8:f::9", &["--source", INSIDE])?;
        assert_eq!(
            (code, told["proved_by"].as_str()),
            (0, Some("TLS")),
            "{told}"
        );
        Ok(())
    })
}

/// Covers: P-018, P-019
#[test]
fn a_request_says_nothing_of_who_asks() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        let answer = good("Application/PVD+JSON; charset=utf-8", OBJECT);
        let asked = server(&web, "2001:db8:f::80", "fixed.example", &answer)?;
        let (code, told) = web.fetch(INSIDE, &[])?;
        assert_eq!(code, 0, "{told}");
        web.fetch("2001:db8:f::2", &["--signed"])?;
        let asked = asked.asked();
        let request = |accept: &str| {
            format!(
                "GET /.well-known/pvd HTTP/1.1\r\nhost: fixed.example\r\naccept: {accept}\r\n\r\n"
            )
        };
        let heads: Vec<&str> = asked.iter().map(|(_, head)| head.as_str()).collect();
        let signed = "application/jose, application/pvd+json;q=0.5";
        assert_eq!(heads, [request("application/pvd+json"), request(signed)]);
        let from: Vec<String> = asked.iter().map(|(from, _)| from.to_string()).collect();
        assert_eq!(from, [INSIDE, "2001:db8:f::2"]);
        Ok(())
    })
}

/// A certificate of the network's authority, with these names, and a common name that is the PvD's.
fn certificate(web: &Web, names: &str) -> Outcome {
    let path = |name: &str| web.file(name).display().to_string();
    let (key, request, extensions) = (path("odd-key.pem"), path("odd.csr"), path("odd.cnf"));
    fs::write(&extensions, names)?;
    let subject = ["-subj", "/CN=fixed.example", "-nodes", "-keyout", &key];
    let make = [
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ];
    run(
        "openssl",
        &[&make[..], &subject, &["-out", &request]].concat(),
    )?;
    let (ca, ca_key, out) = (path("ca.pem"), path("ca-key.pem"), path("odd.pem"));
    let sign = [
        "x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key,
    ];
    let rest = [
        "-CAcreateserial",
        "-days",
        "9",
        "-extfile",
        &extensions,
        "-out",
        &out,
    ];
    run("openssl", &[&sign[..], &rest].concat()).map(drop)
}

/// Covers: P-036, P-039, P-046
#[test]
fn what_is_found_elsewhere_proves_nothing() -> Outcome {
    isolated(&["openssl"], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        let names = "subjectAltName=DNS:a.fixed.example,DNS:elsewhere.example";
        certificate(&web, names)?;
        for (to, form, proved_by) in [
            ("https://a.fixed.example/.well-known/pvd", "pvd+json", "TLS"),
            (
                "https://a.fixed.example/~mallory/pvd",
                "pvd+json",
                "nothing",
            ),
            (
                "https://elsewhere.example/.well-known/pvd",
                "pvd+json",
                "nothing",
            ),
            (
                "https://elsewhere.example/.well-known/pvd",
                "jose",
                "nothing",
            ),
        ] {
            let object = match form {
                "jose" => compact(OBJECT),
                _ => OBJECT.to_owned(),
            };
            let answer = good(&format!("application/{form}"), &object);
            let _first = server(&web, "2001:db8:f::80", "fixed.example", &redirect(to))?;
            let _second = server(&web, "2001:db8:f::81", "odd", &answer)?;
            let (code, told) = web.fetch(INSIDE, &[])?;
            assert_eq!((code, told["from"].as_str()), (0, Some(to)), "{told}");
            assert_eq!(told["proved_by"], proved_by, "{told}");
            let signed = told["signed"].as_str();
            assert_eq!(signed, (form == "jose").then_some(object.trim()));
        }
        Ok(())
    })
}

/// The object, signed with the key of the PvD's certificate.
fn signed(web: &Web) -> Outcome<String> {
    let [certificate, key] = ["", "-key"].map(|end| web.file(&format!("fixed.example{end}.pem")));
    let chain = X509::stack_from_pem(&fs::read(certificate)?)?;
    let key = jose::SigningKey::from_pem(&fs::read(key)?)?;
    let reference = jose::KeyReference::Certificates(&chain);
    Ok(jose::sign(
        OBJECT.as_bytes(),
        &key,
        &reference,
        SystemTime::now(),
    )?)
}

/// Covers: P-036, P-038, P-039
#[test]
fn what_the_pvd_has_signed_counts_wherever_it_is() -> Outcome {
    isolated(&["openssl"], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        certificate(&web, "subjectAltName=DNS:elsewhere.example")?;
        let to = "https://elsewhere.example/~mallory/pvd";
        let _first = server(&web, "2001:db8:f::80", "fixed.example", &redirect(to))?;
        let right = signed(&web)?;
        let (content, signature) = right.rsplit_once('.').ok_or("not compact")?;
        let flipped: String = signature.chars().rev().collect();
        let wrong = format!("{content}.{flipped}");
        for (object, proved_by) in [
            (&right, "signature, certificate for the name"),
            (&wrong, "nothing"),
        ] {
            let answer = good("application/jose", object);
            let _second = server(&web, "2001:db8:f::81", "odd", &answer)?;
            let (code, told) = web.fetch(INSIDE, &["--signed"])?;
            assert_eq!(
                (code, told["proved_by"].as_str()),
                (0, Some(proved_by)),
                "{told}"
            );
            assert_eq!(
                told.get("forged").is_some(),
                proved_by == "nothing",
                "{told}"
            );
        }
        Ok(())
    })
}

/// `openssl s_server` sends files as they are, with their heads.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Covers: P-015, P-016
#[test]
fn an_object_is_fetched_from_openssl() -> Outcome {
    isolated(&["openssl"], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        fs::create_dir(web.file(".well-known"))?;
        web.write(".well-known/pvd", &good("application/pvd+json", OBJECT))?;
        let server = Command::new("openssl")
            .args(["s_server", "-6", "-accept", "[2001:db8:f::80]:443", "-HTTP"])
            .args([
                "-cert",
                "fixed.example.pem",
                "-key",
                "fixed.example-key.pem",
            ])
            .current_dir(web.file(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let _server = Killed(server);
        until("it listens", || {
            Ok(TcpStream::connect("[2001:db8:f::80]:443").is_ok())
        })?;
        let (code, told) = web.fetch(INSIDE, &[])?;
        assert_eq!(
            (code, told["proved_by"].as_str()),
            (0, Some("TLS")),
            "{told}"
        );
        Ok(())
    })
}
