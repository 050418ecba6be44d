//! What libcoap's client makes of the server, and what deployed clients send (RFC 9132 §4.4).

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use coap::{Code, MessageType, OptionNumber};
use dots::identifiers::Mid;
use dots::mitigation::{MitigationReport, MitigationStatus, Status};

use crate::support::{
    self, CUID, Gate, Outcome, Outgoing, Peer, SERVER_V4, SERVER_V6, Site, body, get, is_filtered,
    isolated, mitigate_path, put, until,
};

/// RFC 9132 §4.4.1.1, Figure 8.
const EXAMPLE: &[u8] = &[
    0xa1, 0x01, 0xa1, 0x02, 0x81, 0xa4, 0x06, 0x82, // scope, target-prefix
    0x74, b'2', b'0', b'0', b'1', b':', b'd', b'b', b'8', b':', b'6', b'4', b'0', b'1', b':', b':',
    b'1', b'/', b'1', b'2', b'8', // 2001:db8:6401::1/128
    0x74, b'2', b'0', b'0', b'1', b':', b'd', b'b', b'8', b':', b'6', b'4', b'0', b'1', b':', b':',
    b'2', b'/', b'1', b'2', b'8', // 2001:db8:6401::2/128
    0x07, 0x83, 0xa1, 0x08, 0x18, 0x50, // target-port-range: 80
    0xa1, 0x08, 0x19, 0x01, 0xbb, 0xa1, 0x08, 0x19, 0x1f, 0x90, // 443, 8080
    0x0a, 0x81, 0x06, // target-protocol: TCP
    0x0e, 0x19, 0x0e, 0x10, // lifetime: 3600
];
const EXAMPLE_ADDRESSES: [&str; 2] = ["2001:db8:6401::1", "2001:db8:6401::2"];

/// Mid 123 for 3600 seconds.
const GRANTED: &[u8] = &[
    0xa1, 0x01, 0xa1, 0x02, 0x81, 0xa2, 0x05, 0x18, 0x7b, 0x0e, 0x19, 0x0e, 0x10,
];

/// For how many seconds the client waits for a response, and how long it follows what three others ask for.
const PATIENCE: &str = "60";
const OBSERVED: &str = "300";

/// Less than the fifteen seconds after which the state is told although nothing has changed.
const CHANGE_TOLD: Duration = Duration::from_secs(14);

/// A heartbeat: `{49: {51: true}}`.
const HEARTBEAT: &[u8] = &[0xa1, 0x18, 0x31, 0xa1, 0x18, 0x33, 0xf5];

/// A response as libcoap's client shows it.
#[derive(Debug, PartialEq)]
struct Shown {
    kind: String,
    code: String,
    payload: Vec<u8>,
}

/// libcoap's client with one of its TLS libraries, at a site.
struct Libcoap<'a> {
    program: &'a str,
    site: &'a Site,
    proof: Proof,
    scheme: &'a str,
    remote: &'a str,
}

/// What the client proves itself with.
#[derive(Clone, Copy, Debug)]
enum Proof {
    Certificate,
    PreSharedKey,
}

const KEY_IDENTITY: &str = "home-router";
const KEY: &str = "correct horse battery staple";

/// A site whose customer `home` has a pre-shared key as well.
fn site_with_key() -> Outcome<Site> {
    let site = Site::new()?;
    let key = site.path().join("home.psk");
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&key, hex)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let file = site.path().join("server.toml");
    let with_key = fs::read_to_string(&file)?.replace(
        "name = \"home\"",
        &format!("name = \"home\"\npsk_identity = \"{KEY_IDENTITY}\"\npsk_key_file = \"home.psk\""),
    );
    fs::write(file, with_key)?;
    Ok(site)
}

/// How libcoap shows responses: over TCP there are no message types, and it shows the first.
struct Kinds {
    to_non: &'static str,
    to_con: &'static str,
}

impl Libcoap<'_> {
    fn command(&self, arguments: &[&str], path: &str) -> Command {
        // Line by line, also into a pipe.
        let mut command = Command::new("stdbuf");
        command
            .args(["-oL", self.program])
            .args(["-v", "6", "-o"])
            .arg(self.output());
        match self.proof {
            Proof::Certificate => {
                let identity = self.site.identity("pki", "home");
                command
                    .arg("-c")
                    .arg(identity.certificate)
                    .arg("-j")
                    .arg(identity.private_key)
                    .arg("-C")
                    .arg(&identity.trust_anchor)
                    .arg("-R")
                    .arg(&identity.trust_anchor);
            }
            Proof::PreSharedKey => {
                command.args(["-u", KEY_IDENTITY, "-k", KEY]);
            }
        }
        command
            .args(arguments)
            .arg(format!("{}://{}/{path}", self.scheme, self.remote))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    /// Where the client writes the body of the last response.
    fn output(&self) -> PathBuf {
        self.site.path().join("output")
    }

    fn kinds(&self) -> Kinds {
        match self.scheme {
            "coaps" => Kinds {
                to_non: "NON",
                to_con: "ACK",
            },
            _ => Kinds {
                to_non: "CON",
                to_con: "CON",
            },
        }
    }

    /// The body of a GET that the client puts together of blocks of 16 octets.
    fn get_in_blocks(&self, path: &str) -> Outcome<Vec<u8>> {
        drop(fs::remove_file(self.output()));
        let mut command = self.command(&["-B", PATIENCE, "-b", "16"], path);
        assert!(command.output()?.status.success());
        Ok(fs::read(self.output())?)
    }

    fn start(&self, arguments: &[&str], path: &str) -> Outcome<Conversation> {
        let mut child = self.command(arguments, path).spawn()?;
        let stdout = child.stdout.take().ok_or("no stdout")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Conversation { child, lines })
    }

    /// Sends one request; the response.
    fn ask(&self, arguments: &[&str], path: &str) -> Outcome<Shown> {
        self.start(&[&["-B", PATIENCE], arguments].concat(), path)?
            .response()
    }

    fn put(&self, body: &[u8], path: &str) -> Outcome<Shown> {
        let file = self.site.path().join("body.cbor");
        fs::write(&file, body)?;
        let file = file.display().to_string();
        self.ask(&["-N", "-m", "put", "-t", "271", "-f", &file], path)
    }
}

/// A running client.
struct Conversation {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    /// The next response. It is shown in lines like
    /// `v:1 t:NON c:2.01 i:1ffd {01} [ Content-Format:... ] :: binary data length 13`, `<<a101...>>`.
    fn response(&mut self) -> Outcome<Shown> {
        while let Some(line) = self.lines.next().transpose()? {
            let mut words = line.split(' ');
            let is_message = words.next() == Some("v:1");
            let kind = words.next().and_then(|word| word.strip_prefix("t:"));
            let code = words.next().and_then(|word| word.strip_prefix("c:"));
            let (Some(kind), Some(code), true) = (kind, code, is_message) else {
                continue;
            };
            // A request has the name of its method, and an acknowledgement before its response is empty.
            if code == "0.00" || !code.starts_with(|first: char| first.is_ascii_digit()) {
                continue;
            }
            let payload = match line.split_once(" :: ") {
                None => Vec::new(),
                Some((_, text)) if text.starts_with('\'') => {
                    text.trim_matches('\'').as_bytes().to_vec()
                }
                Some(_) => unhex(&self.lines.next().transpose()?.unwrap_or_default())?,
            };
            let (kind, code) = (kind.to_owned(), code.to_owned());
            return Ok(Shown {
                kind,
                code,
                payload,
            });
        }
        Err("the client ended without a response".into())
    }

    /// The only mitigation in the next response, which has to be 2.05.
    fn status(&mut self) -> Outcome<MitigationStatus> {
        let response = self.response()?;
        assert_eq!(response.code, "2.05");
        only(&response.payload)
    }

    /// The first that is not the former one, which is told again from time to time.
    fn status_after(&mut self, former: Status) -> Outcome<MitigationStatus> {
        loop {
            let status = self.status()?;
            if status.status != former {
                return Ok(status);
            }
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn unhex(text: &str) -> Outcome<Vec<u8>> {
    let digits = text.trim_start_matches('<').trim_end_matches('>');
    let pairs = (0..digits.len()).step_by(2);
    let bytes = pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2).unwrap_or(""), 16));
    Ok(bytes.collect::<Result<_, _>>()?)
}

fn only(payload: &[u8]) -> Outcome<MitigationStatus> {
    let MitigationReport(entries) = MitigationReport::decode(payload)?;
    match <[_; 1]>::try_from(entries) {
        Ok([entry]) => Ok(entry),
        Err(entries) => Err(format!("one mitigation expected: {entries:?}").into()),
    }
}

/// The life of RFC 9132's example, over DTLS and TLS. Covers: S-001, S-002, S-003, S-004, S-006,
/// S-007, S-023, S-025, S-026, S-039, S-044, S-049, B-001, B-002, with a foreign implementation.
fn example_lives_with(program: &'static str, proof: Proof) -> Outcome {
    let site = site_with_key()?;
    let _server = site.start()?;
    let path = mitigate_path(CUID, 123);
    let ways = ["coaps", "coaps+tcp"]
        .into_iter()
        .flat_map(|scheme| [SERVER_V4, SERVER_V6].map(|remote| (scheme, remote)));
    for (scheme, remote) in ways {
        println!("{program} with {proof:?} by {scheme} to {remote}");
        let client = Libcoap {
            program,
            site: &site,
            proof,
            scheme,
            remote,
        };
        let kinds = client.kinds();
        let gate = Gate::shut(site.path())?;
        let response = client.put(EXAMPLE, &path)?;
        assert_eq!(
            (response.kind.as_str(), response.code.as_str()),
            (kinds.to_non, "2.01")
        );
        assert_eq!(response.payload, GRANTED);

        let mut observer = client.start(&["-N", "-s", OBSERVED], &path)?;
        let status = observer.status()?;
        assert_eq!(status.status, Status::AttackMitigationInProgress);
        let opened = Instant::now();
        drop(gate);
        let status = observer.status_after(Status::AttackMitigationInProgress)?;
        assert_eq!(status.status, Status::AttackSuccessfullyMitigated);
        // The change itself is told, not only the state every fifteen seconds.
        assert!(opened.elapsed() < CHANGE_TOLD);
        assert!(EXAMPLE_ADDRESSES.into_iter().all(is_filtered));

        // Confirmable: the answer comes with the acknowledgement, or after it where it takes longer.
        let response = client.ask(&[], &path)?;
        assert_eq!(response.code, "2.05");
        assert!([kinds.to_con, "CON"].contains(&response.kind.as_str()));
        let status = only(&response.payload)?;
        assert_eq!(status.mid, Mid(123));
        assert_eq!(status.status, Status::AttackSuccessfullyMitigated);
        assert_eq!(status.target.prefixes.len(), 2);
        assert_eq!(status.target.port_ranges.len(), 3);
        assert!((3500..=3600).contains(&status.lifetime.to_number()));

        let in_blocks = only(&client.get_in_blocks(&path)?)?;
        assert_eq!(
            (in_blocks.mid, in_blocks.target),
            (status.mid, status.target)
        );

        // Nobody else is asked, so that one hop is enough.
        let response = client.ask(&["-N", "-H", "1", "-m", "delete"], &path)?;
        assert_eq!(response.code, "2.02");
        assert_eq!(response.payload, b"");
        let status = observer.status_after(Status::AttackSuccessfullyMitigated)?;
        assert_eq!(status.status, Status::AttackMitigationTerminated);
        let response = client.ask(&["-N"], &path)?;
        assert_eq!(response.code, "4.04");
        assert!(!response.payload.is_empty(), "a person wants to know why");
        until("the filter goes", || {
            Ok(!EXAMPLE_ADDRESSES.into_iter().any(is_filtered))
        })?;

        let response = client.put(HEARTBEAT, ".well-known/dots/hb")?;
        assert_eq!(
            (response.kind.as_str(), response.code.as_str()),
            (kinds.to_non, "2.04")
        );
        assert_eq!(response.payload, b"");
    }
    Ok(())
}

#[test]
fn libcoap_with_openssl_requests_follows_and_withdraws_the_example() -> Outcome {
    isolated(&["coap-client-openssl"], || {
        example_lives_with("coap-client-openssl", Proof::Certificate)
    })
}

#[test]
fn libcoap_with_gnutls_requests_follows_and_withdraws_the_example() -> Outcome {
    isolated(&["coap-client-gnutls"], || {
        example_lives_with("coap-client-gnutls", Proof::Certificate)
    })
}

///
#[test]
fn libcoap_with_openssl_and_a_key_requests_follows_and_withdraws_the_example() -> Outcome {
    isolated(&["coap-client-openssl"], || {
        example_lives_with("coap-client-openssl", Proof::PreSharedKey)
    })
}

///
#[test]
fn libcoap_with_gnutls_and_a_key_requests_follows_and_withdraws_the_example() -> Outcome {
    isolated(&["coap-client-gnutls"], || {
        example_lives_with("coap-client-gnutls", Proof::PreSharedKey)
    })
}

/// What a deployed client sends first and waits for. Covers: B-005.
#[test]
fn a_probe_for_q_block_gets_bad_option_and_the_session_goes_on() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let _server = site.start()?;
        let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        let probe = Outgoing::new(Code::GET, "").with_option(OptionNumber::Q_BLOCK2, &[]);
        let response = client.ask_as(MessageType::Confirmable, &probe)?;
        assert_eq!(response.message_type, MessageType::Acknowledgement);
        assert_eq!(response.code, Code::BAD_OPTION);
        let asked = client.ask(&put(CUID, 1, &body("203.0.113.1/32", 600)))?;
        assert_eq!(asked.code, Code::CREATED);
        Ok(())
    })
}

/// Deployed clients repeat a Non-confirmable PUT with the same Message ID and token, which asks for
/// the response once more. Covers: X-008, S-037.
#[test]
fn a_repeated_put_gets_the_same_response_and_makes_one_mitigation() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let _server = site.start()?;
        let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        let request = put(CUID, 7, &body("203.0.113.7/32", 600));
        let request = client
            .message(MessageType::NonConfirmable, &request)
            .encode();
        let mut responses = Vec::new();
        for _ in 0..3 {
            client.send(&request)?;
            responses.push(client.receive(support::PATIENCE)?.ok_or("no response")?);
        }
        // A refresh would say 2.04.
        assert_eq!(responses[0].code, Code::CREATED);
        assert_eq!(responses[0].message_type, MessageType::NonConfirmable);
        assert!(responses.iter().all(|response| *response == responses[0]));
        assert_eq!(
            site.ask("status")?["mitigations"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(client.ask(&get(CUID, 7))?.code, Code::CONTENT);
        Ok(())
    })
}
