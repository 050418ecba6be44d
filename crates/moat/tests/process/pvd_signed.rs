//! A signed object is worth the same from a file, from its server and from the cache, and a forged one nothing anywhere.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::PKey;
use openssl::x509::X509;
use serde_json::Value;

use crate::pvd_watch::{ask, explicit, ip, json, resolver, send};
use crate::support::{
    Daemon, HostileWeb, INSIDE, MOAT, OBJECT, Outcome, Web, isolated, run, until,
};

/// What everybody gets, if all is well.
const PROVED: &str = "signature, certificate for the name";

/// The object of fixed.example, signed with the key of its server.
pub(crate) fn signed(web: &Web) -> Outcome<String> {
    let file = |name: &str| web.file(name).display().to_string();
    run(
        MOAT,
        &[
            "pvd",
            "sign",
            &file("fixed.example.json"),
            "--key",
            &file("fixed.example-key.pem"),
            "--certificate",
            &file("fixed.example.pem"),
        ],
    )
}

/// `moat pvd watch` on `lo`, and its socket.
fn watch(web: &Web, more: &[&str]) -> Outcome<(Daemon, String)> {
    let socket = web.file("pvd.sock").display().to_string();
    let authorities = web.file("ca.pem").display().to_string();
    let trusted = ["--authorities", &authorities];
    let mut daemon = Daemon::watch("lo=wired", &socket, &[&trusted, more].concat())?;
    daemon.wait_for("watches;")?;
    Ok((daemon, socket))
}

/// What is known of the PvD, once it is, with the signature that is kept.
fn known(socket: &str) -> Outcome<(Value, String)> {
    let heard = explicit(7, vec![resolver("2001:db8:f::53")?])?;
    let mut information = Value::Null;
    until("it is known", || {
        send(("fe80::1", "fe80::2".parse()?), ("lo", 1), &heard)?;
        let view = json(socket, &["show", "fixed.example"])?;
        information = view["information"].clone();
        Ok(information["state"] == "known")
    })?;
    let kept = ask(socket, &["get", "fixed.example", "--signed"])?.stdout;
    Ok((information, String::from_utf8(kept)?))
}

/// Covers: P-036, P-039, P-040
#[test]
fn a_signed_object_counts_the_same_from_a_file_its_server_and_the_cache() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        for address in ["fe80::1", "fe80::2"] {
            ip(&format!("address add {address}/64 dev lo"))?;
        }
        let signed = signed(&web)?;
        let [stick, cache] = ["stick", "cache"].map(|name| web.file(name).display().to_string());
        fs::create_dir(&stick)?;

        let offline = ["--fetch", "none", "--cache", &cache];
        let (mut daemon, socket) = watch(&web, &[&offline[..], &["--objects", &stick]].concat())?;
        web.write("stick/fixed.jws", &signed)?;
        daemon.wait_for("a signed object is taken")?;
        // Before its PvD is there nothing says that this node is where it holds.
        until("it is on the shelf", || {
            let shelf = json(&socket, &["shelf"])?;
            let place = &shelf[0]["information"]["refused_for"]["attachment"];
            Ok(shelf[0]["pvd"] == "fixed.example" && place.is_string())
        })?;
        let mut from_file = known(&socket)?;
        daemon.terminate()?;
        until("it has ended", || Ok(!Path::new(&socket).exists()))?;
        drop(daemon);

        let (daemon, socket) = watch(&web, &offline)?;
        let from_cache = known(&socket)?;
        assert_eq!(from_file, from_cache);
        drop(daemon);

        fs::remove_file(&socket)?;
        web.replace("fixed.example.jws", &signed)?;
        let _server = web.serve("")?;
        let _askers = web.resolve(&[("fixed.example", "2001:db8:f::80")])?;
        let (_daemon, socket) = watch(&web, &[])?;
        let from_server = known(&socket)?;

        assert_eq!(from_file.0["elsewhere"], true);
        from_file.0["elsewhere"].take();
        let mut expected = from_server.0.clone();
        expected["elsewhere"] = Value::Null;
        assert_eq!((from_file.0, from_file.1), (expected, from_server.1));
        assert_eq!(from_server.0["evidence"], PROVED);
        assert_eq!(from_cache.1, signed);
        Ok(())
    })
}

/// A JWS with this header and this payload, signed with the key of fixed.example.
fn forge(web: &Web, header: &str, payload: &str) -> Outcome<String> {
    let [header, payload] = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let input = format!("{header}.{payload}");
    let key = PKey::private_key_from_pem(&fs::read(web.file("fixed.example-key.pem"))?)?;
    let digest = hash(MessageDigest::sha256(), input.as_bytes())?;
    let signature = EcdsaSig::sign(&digest, &*key.ec_key()?)?;
    let halves = [signature.r(), signature.s()].map(|half| half.to_vec_padded(32));
    let [r, s] = halves;
    let signature = BASE64_URL_SAFE_NO_PAD.encode([r?, s?].concat());
    Ok(format!("{input}.{signature}"))
}

/// Each forgery, with a word of the reason why it is none.
fn forgeries(web: &Web) -> Outcome<Vec<(&'static str, String, &'static str)>> {
    let chain = X509::stack_from_pem(&fs::read(web.file("fixed.example.pem"))?)?;
    let chain = chain
        .iter()
        .map(|it| Ok(BASE64_STANDARD.encode(it.to_der()?)));
    let chain = serde_json::to_string(&chain.collect::<Outcome<Vec<_>>>()?)?;
    let header = |more: &str| format!(r#"{{"alg":"ES256","cty":"pvd+json","x5c":{chain}{more}}}"#);
    let good = forge(web, &header(""), OBJECT)?;
    let (input, _) = good.rsplit_once('.').ok_or("no signature")?;
    let none = header("").replace("ES256", "none");
    let other = OBJECT.replace("2099", "2098");
    let other = BASE64_URL_SAFE_NO_PAD.encode(other);
    let parts: Vec<_> = good.split('.').collect();

    let dir = web.file("elsewhere").display().to_string();
    run(MOAT, &["pki", "init", "--dir", &dir, "--name", "Elsewhere"])?;
    run(
        MOAT,
        &["pki", "issue", "--dir", &dir, "--server", "fixed.example"],
    )?;
    let file = |name: &str| web.file(name).display().to_string();
    let foreign = [
        "pvd",
        "sign",
        &file("fixed.example.json"),
        "--key",
        &file("elsewhere/fixed.example-key.pem"),
        "--certificate",
        &file("elsewhere/fixed.example.pem"),
    ];
    let unsigned = forge(web, &none, OBJECT)?;
    let (unsigned, _) = unsigned.rsplit_once('.').ok_or("no signature")?;
    Ok(vec![
        ("none", format!("{unsigned}.AA"), "it is not signed"),
        (
            "critical",
            forge(web, &header(r#","crit":["exp"],"exp":1"#), OBJECT)?,
            "does not know an extension",
        ),
        (
            "foreign",
            run(MOAT, &foreign)?,
            "its certificate is not valid",
        ),
        (
            "swapped",
            forge(web, &header(""), &OBJECT.replace("fixed", "mobile"))?,
            "its certificate is not for mobile.example",
        ),
        (
            "altered",
            format!("{}.{other}.{}", parts[0], parts[2]),
            "the signature is not one of its key",
        ),
        ("cut", format!("{input}.AAAA"), "the signature is not one"),
    ])
}

/// Covers: P-037, P-038, P-039
#[test]
fn each_forgery_is_refused_whichever_way_it_comes() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let folders = ["stick", "cache"].map(|name| web.file(name).display().to_string());
        let [stick, cache] = &folders;
        folders.iter().try_for_each(fs::create_dir)?;
        let forgeries = forgeries(&web)?;
        for (name, forged, _) in &forgeries {
            web.write(&format!("cache/{name}.given.jws"), forged)?;
        }
        let (mut daemon, socket) = watch(&web, &["--objects", stick, "--cache", cache])?;
        for (name, forged, _) in &forgeries {
            web.write(&format!("stick/{name}"), forged)?;
            daemon.wait_for(&format!("stick/{name}"))?;
        }
        assert_eq!(json(&socket, &["shelf"])?, Value::Array(Vec::new()));
        let log = daemon.kill()?;
        for (name, _, reason) in &forgeries {
            for file in [format!("cache/{name}.given.jws"), format!("stick/{name}\"")] {
                let told = log.lines().find(|line| line.contains(&file));
                let told = told.ok_or_else(|| format!("nothing of {file}: {log}"))?;
                assert!(told.contains("is not used"), "{told}");
                assert!(told.contains(reason), "{told}");
            }
        }

        let _askers = web.resolve(&[("fixed.example", "2001:db8:f::81")])?;
        let [certificate, key] =
            ["", "-key"].map(|end| web.file(&format!("fixed.example{end}.pem")));
        for (name, forged, reason) in &forgeries {
            let length = forged.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/jose\r\nContent-Length: {length}\r\n\r\n{forged}"
            );
            let _server = HostileWeb::start("2001:db8:f::81", (&certificate, &key), &answer)?;
            let (code, told) = web.fetch(INSIDE, &["--signed"])?;
            let told_of = told["forged"].as_str().or(told["error"]["reason"].as_str());
            let told_of = told_of.ok_or("no reason")?;
            match *name {
                "swapped" => assert!(told_of.contains("the object of mobile.example"), "{told}"),
                _ => assert!(told_of.contains(reason), "{told}"),
            }
            // What TLS proves it proves all the same.
            let proved_by = told["proved_by"].as_str();
            assert_eq!(
                (code, proved_by == Some("TLS")),
                match *name {
                    "swapped" => (1, false),
                    _ => (0, true),
                }
            );
        }
        Ok(())
    })
}
