//! `moat pvd serve`, as curl and `openssl s_client` see it (RFC 8801 §4).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{
    INSIDE, OBJECT, OUTSIDE, Outcome, PATIENCE, Seen, Web, compact, curl, isolated, until,
};

const OBJECT_URL: &str = "fixed.example/.well-known/pvd";

fn get(web: &Web, more: &[&str]) -> Outcome<Seen> {
    curl(&web.file(""), INSIDE, OBJECT_URL, more)
}

/// Covers: P-015, P-016, P-018, P-027, P-036, P-037
#[test]
fn curl_gets_the_object_of_the_pvd_that_it_is_in() -> Outcome {
    isolated(&["curl"], || {
        let web = Web::new()?;
        let _server = web.serve("")?;
        let folder = web.file("");

        let plain = get(&web, &["-H", "Accept: application/pvd+json"])?;
        assert_eq!((plain.status(), plain.body.as_str()), ("200", OBJECT));
        assert_eq!(plain.field("content-type"), Some("application/pvd+json"));
        assert_eq!(plain.field("vary"), Some("accept"));
        assert_eq!(plain.field("cache-control"), Some("private, max-age=10"));
        let any = get(&web, &[])?;
        assert_eq!((any.status(), any.body.as_str()), ("200", OBJECT));

        let signed = "Accept: application/jose, application/pvd+json;q=0.5";
        let signed = get(&web, &["-H", signed])?;
        let whole = compact(OBJECT);
        assert_eq!(
            (signed.status(), signed.body.as_str()),
            ("200", whole.trim())
        );
        assert_eq!(signed.field("content-type"), Some("application/jose"));
        assert_ne!(signed.field("etag"), plain.field("etag"));

        for (more, status) in [
            (&["-I"][..], "200"),
            (&["-0"], "200"),
            (&["-H", "Accept: text/html"], "406"),
            (&["-H", "Host: mobile.example"], "421"),
            (&["-X", "DELETE"], "405"),
            (&["-d", "x"], "400"),
            (&["-X", "GET", "-d", "x"], "400"),
        ] {
            assert_eq!(get(&web, more)?.status(), status, "{more:?}");
        }
        let head = get(&web, &["-I"])?;
        let length = OBJECT.len().to_string();
        assert_eq!(head.field("content-length"), Some(length.as_str()));
        assert_eq!(head.body, "");
        let known = format!("If-None-Match: {}", tag(&web)?);
        let known = get(&web, &["-H", &known])?;
        assert_eq!((known.status(), known.body.as_str()), ("304", ""));
        let long = format!("X-Long: {}", "x".repeat(10_000));
        assert_eq!(get(&web, &["-H", &long])?.status(), "431");

        for (from, url, status) in [
            (OUTSIDE, OBJECT_URL, "403"),
            ("203.0.113.1", OBJECT_URL, "200"),
            ("203.0.113.80", OBJECT_URL, "403"),
            (INSIDE, "fixed.example/", "404"),
            (INSIDE, "fixed.example/.well-known/pvd/x", "404"),
            (INSIDE, "mobile.example/.well-known/pvd", "200"),
        ] {
            let seen = curl(&folder, from, url, &[])?;
            assert_eq!(seen.status(), status, "{from} {url}");
        }
        let jose = ["-H", "Accept: application/jose"];
        let seen = curl(&folder, INSIDE, "mobile.example/.well-known/pvd", &jose)?;
        assert_eq!(seen.status(), "406", "it is not there signed");
        Ok(())
    })
}

/// The entity tag as the server wrote it, and not in lower case.
fn tag(web: &Web) -> Outcome<String> {
    let headers = web.file("headers");
    let file = headers.display().to_string();
    get(web, &["-D", &file])?;
    let text = std::fs::read_to_string(headers)?;
    let line = text.lines().find_map(|line| line.strip_prefix("etag: "));
    Ok(line.ok_or("no etag")?.to_owned())
}

/// Covers: P-016
#[test]
fn a_connection_is_begun_with_a_pvd_that_is_served_and_tls_of_today() -> Outcome {
    isolated(&["curl", "openssl"], || {
        let web = Web::new()?;
        let _server = web.serve("")?;
        let folder = web.file("");
        let other = curl(&folder, INSIDE, "other.example/.well-known/pvd", &[])?;
        assert_eq!((other.code, other.status()), (35, ""));
        for (more, code) in [
            (&["--tls-max", "1.2"][..], 0),
            (&["--tlsv1.3"], 0),
            (&["--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0"], 35),
        ] {
            assert_eq!(get(&web, more)?.code, code, "{more:?}");
        }
        let told = s_client(&folder, &["-alpn", "h2"])?;
        assert!(told.contains("no application protocol"), "{told}");
        // Who names nobody is shown the first.
        let told = s_client(&folder, &["-noservername", "-alpn", "http/1.1"])?;
        assert!(told.contains("ALPN protocol: http/1.1"), "{told}");
        assert!(
            told.contains("CN = fixed.example") || told.contains("CN=fixed.example"),
            "{told}"
        );
        Ok(())
    })
}

fn s_client(folder: &Path, more: &[&str]) -> Outcome<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", "[2001:db8:f::80]:443", "-CAfile"])
        .arg(folder.join("ca.pem"))
        .args(more)
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_file_that_changes_is_served_and_one_that_is_broken_is_not() -> Outcome {
    isolated(&["curl"], || {
        let web = Web::new()?;
        let mut server = web.serve("")?;
        let newer = OBJECT.replace("2001:db8:f::/48", "2001:db8::/32");
        web.replace("fixed.example.jws", &compact(&newer))?;
        server.wait_for("what is signed is another object than the one beside it")?;
        assert_eq!(get(&web, &[])?.body, OBJECT);
        web.replace("fixed.example.json", &newer)?;
        server.wait_for("the object is read again")?;
        assert_eq!(get(&web, &[])?.body, newer);

        for (broken, why) in [
            ("{".to_owned(), "the object before is served on"),
            (
                newer.replace("fixed", "mobile"),
                "the object is that of mobile.example",
            ),
            (" ".repeat(70_000), "it is longer than 65536 bytes"),
        ] {
            web.replace("fixed.example.json", &broken)?;
            server.wait_for(why)?;
            assert_eq!(get(&web, &[])?.body, newer);
        }
        let expired = newer.replace("2099", "2019");
        web.replace("fixed.example.jws", &compact(&expired))?;
        web.replace("fixed.example.json", &expired)?;
        server.wait_for("it has expired")?;
        assert_eq!(get(&web, &[])?.body, newer);
        std::fs::remove_file(web.file("fixed.example.json"))?;
        server.wait_for("No such file")?;
        assert_eq!(get(&web, &[])?.body, newer);

        // A certificate is renewed without a restart, too: one of another name in place of the first.
        for suffix in [".pem", "-key.pem"] {
            let [from, to] = ["mobile", "fixed"].map(|name| format!("{name}.example{suffix}"));
            std::fs::copy(web.file(&from), web.file(&to))?;
        }
        server.wait_for("the certificate is read again")?;
        until("the other certificate is shown", || {
            Ok(get(&web, &[])?.code == 60)
        })
    })
}

/// Covers: P-020
#[test]
fn an_object_that_has_expired_is_not_served() -> Outcome {
    isolated(&["curl"], || {
        let web = Web::new()?;
        let expired = OBJECT.replace("2099", "2019");
        web.write("fixed.example.json", &expired)?;
        web.write("fixed.example.jws", &compact(&expired))?;
        let mut server = web.serve("")?;
        server.wait_for("the object has expired and is not served any more")?;
        assert_eq!(get(&web, &[])?.status(), "503");
        let other = curl(&web.file(""), INSIDE, "mobile.example/.well-known/pvd", &[])?;
        assert_eq!(other.status(), "200");
        server.terminate()?;
        let log = server.wait_for("expired=1")?;
        assert!(log.contains("served=1"), "{log}");
        Ok(())
    })
}

///
#[test]
fn connections_that_only_hold_on_keep_nobody_out() -> Outcome {
    isolated(&["curl"], || {
        let web = Web::new()?;
        let limits = "[limits]\nconnections = 4\nhandshake_seconds = 20\nrequest_seconds = 5\n";
        let mut server = web.serve(limits)?;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect("[2001:db8:f::80]:443")?);
        }
        assert_eq!(get(&web, &[])?.status(), "200");
        for connection in &mut silent {
            connection.set_read_timeout(Some(PATIENCE))?;
            // Displaced, or too late: it has ended without a word.
            assert!(matches!(connection.read(&mut [0]), Ok(0) | Err(_)));
        }
        // A head that never ends.
        let folder = web.file("");
        let mut slow = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", "[2001:db8:f::80]:443"])
            .args(["-servername", "fixed.example", "-CAfile"])
            .arg(folder.join("ca.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut said = slow.stdin.take().ok_or("no stdin")?;
        said.write_all(b"GET /.well-known/pvd HTTP/1.1\r\nHost: fixed.example\r\nX-A: ")?;
        until("the slow client is sent away", || {
            let _may_be_gone = said.write_all(b"a");
            std::thread::sleep(std::time::Duration::from_millis(100));
            Ok(slow.try_wait()?.is_some())
        })?;
        assert_eq!(get(&web, &[])?.status(), "200");
        server.terminate()?;
        let counted = server.wait_for("broken=1")?;
        assert!(
            counted.contains("displaced=") && counted.contains("served=2"),
            "{counted}"
        );
        Ok(())
    })
}

/// A file that is not what it should be is told with its place, and nothing is served.
#[test]
fn a_wrong_file_is_told_before_anything_is_served() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let right = "[[pvd]]\nid = \"fixed.example\"\ncertificate = \"fixed.example.pem\"\nprivate_key = \"fixed.example-key.pem\"\nobject = \"fixed.example.json\"\n";
        for (text, why) in [
            (String::new(), "there is no [[pvd]] in this file"),
            (
                format!("{right}objekt = 1\n"),
                "objekt: is not a key of this table; did you mean object?",
            ),
            (
                right.replace("fixed.example.json", "none.json"),
                "none.json: No such file",
            ),
            (
                right.replace("fixed.example.json", "pvd.toml"),
                "the object is no PvD Additional Information",
            ),
            (
                right.replace("fixed.example.json", "mobile.example.json"),
                "the object is that of mobile.example",
            ),
            (
                format!("{right}{right}"),
                "fixed.example\" is used by pvd[0].id already (line 2)",
            ),
            (
                right.replace("fixed.example-key", "mobile.example-key"),
                "does not belong to the certificate",
            ),
            (
                format!("{right}[limits]\nconnections = 0\n"),
                "0 is out of range; write 1 to 100000",
            ),
            (
                format!("listen = [\"192.0.2.1:443\"]\n{right}"),
                "cannot listen on 192.0.2.1:443",
            ),
        ] {
            web.write("pvd.toml", &text)?;
            let file = web.file("pvd.toml");
            let output = Command::new(crate::support::MOAT)
                .args(["pvd", "serve", "--config"])
                .arg(&file)
                .output()?;
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(told.contains(why), "{text}\n{told}");
            let code = if why.starts_with("cannot listen") {
                1
            } else {
                2
            };
            assert_eq!(output.status.code(), Some(code), "{text}\n{told}");
        }
        Ok(())
    })
}
