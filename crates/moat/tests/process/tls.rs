//! TLS over TCP with a foreign implementation, and with clients that mean no good (RFC 8323 §8.2).

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use coap::Code;

use crate::support::{
    CUID, Identity, Outcome, PATIENCE, Peer, SERVER_V4, SERVER_V6, Site, body, isolated, put,
};

/// What `openssl s_client` says about a handshake.
fn s_client(identity: &Identity, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", SERVER_V4, "-cert"])
        .arg(&identity.certificate)
        .arg("-key")
        .arg(&identity.private_key)
        .arg("-CAfile")
        .arg(&identity.trust_anchor)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Covers: S-002, S-003, X-001, X-002
#[test]
fn openssl_agrees_on_tls_1_3_and_coap_and_on_nothing_older_than_1_2() -> Outcome {
    isolated(&["openssl"], || {
        let site = Site::new()?;
        let mut server = site.start()?;
        let home = site.identity("pki", "home");
        let said = s_client(&home, &["-tls1_3", "-alpn", "coap"])?;
        assert!(said.contains("ALPN protocol: coap"), "{said}");
        assert!(said.contains("TLSv1.3"), "{said}");
        server.wait_for("session established")?;
        let said = s_client(&home, &["-tls1_2", "-alpn", "coap"])?;
        assert!(said.contains("ALPN protocol: coap"), "{said}");
        server.wait_for("session established")?;
        let said = s_client(&home, &["-tls1_1", "-alpn", "coap"])?;
        assert!(!said.contains("ALPN protocol: coap"), "{said}");
        s_client(&home, &["-tls1_3", "-alpn", "http/1.1"])?;
        server.wait_for("ALPN")?;
        Ok(())
    })
}

///
#[test]
fn connections_that_say_nothing_keep_nobody_of_another_source_out() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let _server = site.start()?;
        let mut silent = Vec::new();
        for _ in 0..40 {
            let connection = TcpStream::connect(SERVER_V4)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            silent.push(connection);
        }
        // At the limit of one source its oldest gives way.
        let oldest = silent.first_mut().ok_or("no connection")?;
        assert_eq!(oldest.read(&mut [0; 16])?, 0);
        let said = Command::new("openssl")
            .args(["s_client", "-connect", SERVER_V6, "-alpn", "coap"])
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("ALPN protocol: coap"), "{said}");
        // Nor does UDP notice.
        let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        let asked = client.ask(&put(CUID, 1, &body("203.0.113.1/32", 600)))?;
        assert_eq!(asked.code, Code::CREATED);
        Ok(())
    })
}
