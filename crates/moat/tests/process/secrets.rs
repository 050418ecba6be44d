//! Daemons that say all they can, with certificates and with pre-shared keys, in sessions and in
//! errors: no secret is in a log or in what a command prints (ARCHITECTURE.md, invariant 9).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use openssl::pkey::PKey;

use crate::support::{
    CLIENT_SOCKET, Daemon, MOAT, Outcome, SERVER_NAME, SERVER_SOCKET, SERVER_V4, Site, isolated,
};

/// What must not be seen, by a name for people.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: &str, octets: Vec<u8>) {
        assert!(octets.len() >= 16, "{name} could be there by chance");
        self.0.push((name.to_owned(), octets));
    }

    /// The number that a private key in a PEM file is.
    fn add_private_key(&mut self, file: &Path) -> Outcome {
        let key = PKey::private_key_from_pem(&fs::read(file)?)?;
        let number = key.ec_key()?.private_key().to_vec();
        self.add(&file.display().to_string(), number);
        Ok(())
    }

    fn assert_not_in(&self, text: &str) {
        assert!(!text.contains("-----BEGIN"), "{text}");
        for (name, octets) in &self.0 {
            for form in forms(octets) {
                assert!(!text.contains(&form), "{name} is there, as {form}");
            }
        }
    }
}

/// How octets could be written: their first 12, which are four whole groups of base64.
fn forms(octets: &[u8]) -> Vec<String> {
    let start = octets.get(..12).unwrap_or_default();
    let joined = |separator: &str, write: fn(&u8) -> String| {
        start.iter().map(write).collect::<Vec<_>>().join(separator)
    };
    let base64 = openssl::base64::encode_block(start);
    let mut forms = vec![
        String::from_utf8_lossy(start).into_owned(),
        start.escape_ascii().to_string(),
        joined("", |octet| format!("{octet:02x}")),
        joined("", |octet| format!("{octet:02X}")),
        joined(":", |octet| format!("{octet:02x}")),
        joined(" ", |octet| format!("{octet:02x}")),
        joined(", ", |octet| octet.to_string()),
        base64.replace('+', "-").replace('/', "_"),
        base64,
    ];
    forms.dedup();
    forms
}

fn from_hex(text: &str) -> Outcome<Vec<u8>> {
    let octet = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16);
    Ok((0..text.len())
        .step_by(2)
        .map(octet)
        .collect::<Result<_, _>>()?)
}

/// What a command prints, and how it complains.
fn said(program: &str, arguments: &[&str], folder: &Path) -> Outcome<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Asks both daemons everything, in both forms.
fn said_by_commands(site: &Site) -> Outcome<String> {
    let mut text = String::new();
    for socket in [CLIENT_SOCKET, SERVER_SOCKET] {
        for command in ["status", "sessions"] {
            for form in [&[][..], &["--json"]] {
                let arguments = [&[command, "--control", socket], form].concat();
                text += &said(MOAT, &arguments, site.path())?;
            }
        }
    }
    text += &said(
        MOAT,
        &["explain", "203.0.113.1", "--control", CLIENT_SOCKET],
        site.path(),
    )?;
    for file in ["server.toml", "client.toml"] {
        text += &said(MOAT, &["config", "check", file], site.path())?;
        text += &said(MOAT, &["config", "check", file, "--json"], site.path())?;
    }
    Ok(text)
}

/// A session of the server's, with the keys and the ticket that it made.
fn add_session(secrets: &mut Secrets, site: &Site) -> Outcome {
    let [certificate, key, anchor] = ["pki/home.pem", "pki/home-key.pem", "pki/ca.pem"];
    said(
        "openssl",
        &[
            "s_client",
            "-dtls1_2",
            "-connect",
            SERVER_V4,
            "-cert",
            certificate,
            "-key",
            key,
            "-CAfile",
            anchor,
            "-sess_out",
            "session.pem",
        ],
        site.path(),
    )?;
    let shown = said(
        "openssl",
        &["sess_id", "-in", "session.pem", "-noout", "-text"],
        site.path(),
    )?;
    let master = shown
        .split_once("Master-Key:")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .ok_or("no session")?;
    secrets.add("the master secret of a session", from_hex(master)?);
    let ticket = shown
        .lines()
        .skip_while(|line| !line.contains("TLS session ticket:"))
        .filter_map(|line| line.split_once(" - "))
        .flat_map(|(_, dump)| {
            let columns = dump.get(..48).unwrap_or(dump).replace('-', " ");
            columns
                .split(' ')
                .filter_map(|octet| u8::from_str_radix(octet, 16).ok())
                .collect::<Vec<_>>()
        })
        .collect();
    secrets.add("a session ticket", ticket);
    Ok(())
}

#[test]
fn no_log_and_no_command_shows_a_private_key_or_what_protects_a_session() -> Outcome {
    isolated(&["openssl"], || {
        let site = Site::new()?;
        site.init("foreign")?;
        site.issue("foreign", &["--client", "home"])?;
        let mut secrets = Secrets::default();
        for file in ["pki/home-key.pem", "pki/ca-key.pem", "foreign/home-key.pem"] {
            secrets.add_private_key(&site.path().join(file))?;
        }
        let server_key = format!("pki/{SERVER_NAME}-key.pem");
        secrets.add_private_key(&site.path().join(&server_key))?;

        let mut server = site.start()?;
        add_session(&mut secrets, &site)?;
        let mut text = String::new();
        for (name, folder, says) in [
            (SERVER_NAME, "pki", "session established"),
            ("other.example", "pki", "no session"),
            (SERVER_NAME, "foreign", "no session"),
        ] {
            let credentials = format!(
                "certificate = \"{folder}/home.pem\"\nprivate_key = \"{folder}/home-key.pem\"\n\
                 trust_anchors = \"pki/ca.pem\""
            );
            let file = site.client_file_with(&credentials, name, "")?;
            let mut client = Daemon::launch("client", &file)?;
            client.wait_for(says)?;
            text += &said_by_commands(&site)?;
            text += &client.kill()?;
        }
        server.wait_for("does not lead to a trust anchor")?;
        // Files in each other's place, and one that is broken.
        fs::write(site.path().join("half.pem"), {
            let whole = fs::read(site.path().join("pki/home-key.pem"))?;
            whole
                .get(..whole.len() * 3 / 4)
                .unwrap_or_default()
                .to_vec()
        })?;
        fs::set_permissions(
            site.path().join("half.pem"),
            fs::Permissions::from_mode(0o600),
        )?;
        for [certificate, key, anchors] in [
            ["pki/home-key.pem", "pki/home-key.pem", "pki/ca.pem"],
            ["pki/home.pem", "half.pem", "pki/ca.pem"],
            ["pki/home.pem", &server_key, "pki/ca.pem"],
            ["pki/home.pem", "pki/home-key.pem", "pki/home-key.pem"],
        ] {
            let credentials = format!(
                "certificate = \"{certificate}\"\nprivate_key = \"{key}\"\n\
                 trust_anchors = \"{anchors}\""
            );
            site.client_file_with(&credentials, SERVER_NAME, "")?;
            let complaint = said(MOAT, &["config", "check", "client.toml"], site.path())?;
            assert!(complaint.contains("client.toml"), "{complaint}");
            text += &complaint;
            text += &said(MOAT, &["client", "--config", "client.toml"], site.path())?;
        }
        text += &server.kill()?;
        secrets.assert_not_in(&text);
        Ok(())
    })
}

#[test]
fn no_log_and_no_command_shows_a_pre_shared_key() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let mut secrets = Secrets::default();
        for (folder, name) in [(".", "right"), ("wrong", "right")] {
            let made = said(MOAT, &["pki", "psk", name, "--dir", folder], site.path())?;
            let file = site.path().join(folder).join("right.psk");
            let text: String = fs::read_to_string(&file)?.split_whitespace().collect();
            assert!(!made.contains(&text), "it is in the file and nowhere else");
            secrets.add(&file.display().to_string(), from_hex(&text)?);
        }
        let server_file = site.path().join("server.toml");
        let with_key = "name = \"home\"\npsk_identity = \"right\"\npsk_key_file = \"right.psk\"";
        let text = fs::read_to_string(&server_file)?.replace("name = \"home\"", with_key);
        fs::write(&server_file, text)?;

        let server = site.start()?;
        let mut text = String::new();
        for (key, identity, says) in [
            ("right.psk", "right", Some("session established")),
            ("wrong/right.psk", "right", None),
            ("right.psk", "unknown", None),
        ] {
            let credentials = format!("psk_identity = \"{identity}\"\npsk_key_file = \"{key}\"");
            let file = site.client_file_with(&credentials, SERVER_NAME, "")?;
            let mut client = Daemon::launch("client", &file)?;
            client.wait_for("moat client is ready")?;
            if let Some(says) = says {
                client.wait_for(says)?;
            }
            text += &said_by_commands(&site)?;
            text += &client.kill()?;
        }
        // A key that others may read, and one that is none.
        fs::set_permissions(
            site.path().join("right.psk"),
            fs::Permissions::from_mode(0o644),
        )?;
        text += &said(MOAT, &["config", "check", "server.toml"], site.path())?;
        let half = fs::read_to_string(site.path().join("wrong/right.psk"))?;
        fs::write(site.path().join("wrong/right.psk"), format!("{half}z"))?;
        site.client_file_with(
            "psk_identity = \"right\"\npsk_key_file = \"wrong/right.psk\"",
            SERVER_NAME,
            "",
        )?;
        text += &said(MOAT, &["config", "check", "client.toml"], site.path())?;
        assert!(text.contains("holds no pre-shared key"), "{text}");
        text += &server.kill()?;
        secrets.assert_not_in(&text);
        Ok(())
    })
}
