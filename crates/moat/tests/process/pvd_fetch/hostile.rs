//! `moat pvd fetch` from servers that mean no good, or are not who they should be (RFC 8801 §4.1, §6).

use std::time::Instant;

use super::{NAMES, OK, certificate, good, redirect, server};
use crate::support::{INSIDE, OBJECT, Outcome, PATIENCE, Web, isolated};

/// What a server answers, and why nothing is fetched then.
fn hostile_answers() -> Vec<(String, &'static str)> {
    const JSON: &str = "Content-Type: application/pvd+json";
    let length = OBJECT.len();
    vec![
        (
            redirect("http://fixed.example/.well-known/pvd"),
            "that is not https",
        ),
        (
            redirect("https://127.0.0.1/"),
            "that is no host with a name",
        ),
        (redirect("https://[::1]/"), "that is no host with a name"),
        (redirect("//loop.example/"), "::1, a loopback address"),
        (
            redirect("https://loop4.example/"),
            "127.0.0.1, a loopback address",
        ),
        (
            redirect("https://link.example/"),
            "fe80::1, a link-local address",
        ),
        (
            redirect("https://group.example/"),
            "ff02::1, a multicast address",
        ),
        (
            redirect("https://nobody.example/"),
            "nobody.example has no address",
        ),
        (
            redirect("https://user@fixed.example/"),
            "there is a user in it",
        ),
        (
            "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "the server says 302",
        ),
        (
            format!("HTTP/1.1 404 Not Found\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n{OBJECT}"),
            "404 Not Found",
        ),
        (
            good("application/json", OBJECT),
            "it is \"application/json\", and not",
        ),
        (
            format!("{OK}Content-Length: {length}\r\n\r\n{OBJECT}"),
            "it is \"\"",
        ),
        (
            good("application/pvd+json\r\nContent-Encoding: gzip", OBJECT),
            "it is encoded as \"gzip\"",
        ),
        (
            format!("{OK}{JSON}\r\nContent-Length: 99999999\r\n\r\n"),
            "longer than 65536 bytes",
        ),
        (
            format!("{OK}{JSON}\r\n\r\n{}", " ".repeat(1 << 20)),
            "longer than 65536 bytes",
        ),
        (
            format!("{OK}X-Long: {}\r\n\r\n", "x".repeat(100_000)),
            "the exchange failed",
        ),
        (
            format!("{OK}{JSON}\r\nContent-Length: 9999\r\n\r\n{OBJECT}"),
            "the exchange failed",
        ),
        ("nonsense\r\n\r\n".to_owned(), "the exchange failed"),
        (
            good("application/pvd+json", &OBJECT.replace("fixed", "mobile")),
            "gives the object of mobile.example",
        ),
        (
            good("application/pvd+json", &OBJECT.replace("}}", "},}")),
            "is no PvD Additional Information",
        ),
        (
            good("application/pvd+json", &OBJECT.replace("2099", "2019")),
            "it has expired",
        ),
        (good("application/jose", "a.b"), "it is no compact JWS"),
    ]
}

/// Covers: P-018, P-020, P-022, P-047, P-048
#[test]
fn what_a_hostile_server_answers_is_refused_and_not_asked_for_again() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        for (answer, why) in hostile_answers() {
            let server = server(&web, "2001:db8:f::80", "fixed.example", &answer)?;
            let begun = Instant::now();
            let (code, told) = web.fetch(INSIDE, &[])?;
            let reason = told["error"]["reason"].as_str().unwrap_or_default();
            let shown: String = answer.chars().take(200).collect();
            assert!(code == 1 && reason.contains(why), "{shown}\n{told}");
            assert_eq!(server.asked().len(), 1, "{shown}");
            assert!(begun.elapsed() < PATIENCE, "{shown}");
        }
        Ok(())
    })
}

/// Covers: P-047
#[test]
fn a_server_that_keeps_silent_is_left() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        let _server = server(&web, "2001:db8:f::80", "fixed.example", "")?;
        let (code, told) = web.fetch(INSIDE, &[])?;
        assert_eq!(
            (code, told["error"]["reason"].as_str()),
            (1, Some("the answer took too long"))
        );
        Ok(())
    })
}

/// Covers: P-018, P-048
#[test]
fn five_redirects_are_followed_and_no_more() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        let answer = redirect("/.well-known/pvd");
        let server = server(&web, "2001:db8:f::80", "fixed.example", &answer)?;
        let (code, told) = web.fetch(INSIDE, &[])?;
        let reason = told["error"]["reason"].as_str();
        assert_eq!(
            (code, reason),
            (1, Some("it is redirected more than 5 times"))
        );
        assert_eq!(server.asked().len(), 6);
        Ok(())
    })
}

/// Covers: P-048
#[test]
fn a_pvd_whose_name_leads_to_this_host_is_not_asked() -> Outcome {
    isolated(&[], || {
        let web = Web::new()?;
        let _names = web.resolve(&[("fixed.example", "::1")])?;
        let asked = server(
            &web,
            "::1",
            "fixed.example",
            &good("application/pvd+json", OBJECT),
        )?;
        let (code, told) = web.fetch(INSIDE, &[])?;
        assert_eq!(code, 1);
        assert!(told.to_string().contains("a loopback address"), "{told}");
        assert!(asked.asked().is_empty());
        Ok(())
    })
}

/// Covers: P-016
#[test]
fn a_certificate_counts_only_with_a_dns_id_equal_to_the_pvds() -> Outcome {
    isolated(&["openssl"], || {
        let web = Web::new()?;
        let _names = web.resolve(&NAMES)?;
        for (names, is_right) in [
            ("subjectAltName=DNS:other.example,DNS:Fixed.Example", true),
            ("subjectAltName=DNS:*.example", false),
            ("subjectAltName=DNS:other.example", false),
            ("subjectAltName=DNS:a.fixed.example", false),
            ("subjectAltName=IP:2001:db8:f::80", false),
            // The common name is the PvD's, and is not looked at.
            ("basicConstraints=CA:FALSE", false),
            (
                "subjectAltName=DNS:fixed.example\nextendedKeyUsage=clientAuth",
                false,
            ),
        ] {
            certificate(&web, names)?;
            let answer = good("application/pvd+json", OBJECT);
            let server = server(&web, "2001:db8:f::80", "odd", &answer)?;
            let (code, told) = web.fetch(INSIDE, &[])?;
            assert_eq!(code, if is_right { 0 } else { 1 }, "{names}: {told}");
            let refused = told.to_string().contains("the certificate is refused");
            assert_eq!(refused, !is_right, "{names}: {told}");
            assert_eq!(server.asked().is_empty(), !is_right, "{names}");
        }
        Ok(())
    })
}
