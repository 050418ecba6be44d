//! The network of a PvD within one host: its addresses, a resolver, a certification authority, and an object.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tempfile::TempDir;

use super::{Daemon, MOAT, Outcome, run};

/// Addresses of this host: two in the PvD, one outside, and those of servers.
const ADDRESSES: [&str; 8] = [
    "2001:db8:f::1/128",
    "2001:db8:f::2/128",
    "2001:db8:e::1/128",
    "2001:db8:f::53/128",
    "2001:db8:f::80/128",
    "2001:db8:f::81/128",
    "203.0.113.1/32",
    "203.0.113.80/32",
];
/// One of its addresses in the PvD.
pub(crate) const INSIDE: &str = "2001:db8:f::1";
/// One that is not.
pub(crate) const OUTSIDE: &str = "2001:db8:e::1";
/// Where its resolver is.
const RESOLVER: &str = "2001:db8:f::53";

/// The object of fixed.example.
pub(crate) const OBJECT: &str = r#"{"identifier": "fixed.example.", "expires": "2099-01-01T00:00:00Z",
 "prefixes": ["2001:db8:f::/48"], "vendor-moat": {"ipv4Prefixes": ["203.0.113.0/28"]}}"#;

/// The host. Its server is at 2001:db8:f::80.
pub(crate) struct Web {
    folder: TempDir,
}

impl Web {
    pub(crate) fn new() -> Outcome<Self> {
        for address in ADDRESSES {
            run("ip", &["address", "add", address, "dev", "lo"])?;
        }
        let web = Self {
            folder: tempfile::Builder::new().prefix("web-").tempdir()?,
        };
        let dir = web.file("").display().to_string();
        run(MOAT, &["pki", "init", "--dir", &dir, "--name", "Web"])?;
        for name in ["fixed.example", "mobile.example"] {
            run(MOAT, &["pki", "issue", "--dir", &dir, "--server", name])?;
            let object = OBJECT.replace("fixed.example", name);
            web.write(&format!("{name}.json"), &object)?;
            web.write(&format!("{name}.jws"), &compact(&object))?;
        }
        Ok(web)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> Outcome {
        Ok(fs::write(self.file(name), content)?)
    }

    /// Replaces a file in one step, as a careful administrator does.
    pub(crate) fn replace(&self, name: &str, content: &str) -> Outcome {
        self.write("new", content)?;
        Ok(fs::rename(self.file("new"), self.file(name))?)
    }

    /// `moat pvd serve` for both PvDs, with more lines of its file. Only fixed.example is there in a signed form.
    pub(crate) fn serve(&self, more: &str) -> Outcome<Daemon> {
        let mut text = "listen = [\"[2001:db8:f::80]:443\", \"203.0.113.80:443\"]\n".to_owned();
        for name in ["fixed.example", "mobile.example"] {
            text += &format!(
                "[[pvd]]\nid = \"{name}\"\ncertificate = \"{name}.pem\"\nprivate_key = \"{name}-key.pem\"\nobject = \"{name}.json\"\n"
            );
            if name == "fixed.example" {
                text += "signed = \"fixed.example.jws\"\n";
            }
        }
        self.write("pvd.toml", &format!("{text}{more}"))?;
        let file = self.file("pvd.toml").display().to_string();
        let mut server = Daemon::run(&["pvd", "serve", "--config", &file])?;
        for _ in 0..2 {
            server.wait_for("listening")?;
        }
        Ok(server)
    }

    /// Answers questions for names, from now on, and remembers who asked.
    pub(crate) fn resolve(&self, names: &[(&str, &str)]) -> Outcome<Arc<Mutex<Vec<IpAddr>>>> {
        let socket = UdpSocket::bind((RESOLVER, 53))?;
        let names = names.iter().map(|(name, address)| {
            let address: IpAddr = address.parse()?;
            Ok(((*name).to_owned(), address))
        });
        let names: BTreeMap<String, IpAddr> = names.collect::<Outcome<_>>()?;
        let askers = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&askers);
        // It ends with the process.
        thread::spawn(move || {
            let mut datagram = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut datagram) {
                if let Ok(mut seen) = seen.lock() {
                    seen.push(from.ip());
                }
                let reply = reply(&datagram[..length], |name| names.get(name).copied());
                drop(socket.send_to(&reply, from));
            }
        });
        Ok(askers)
    }

    /// `moat pvd fetch` of fixed.example from an address, with more words: its exit code and its JSON.
    pub(crate) fn fetch(&self, source: &str, more: &[&str]) -> Outcome<(i32, serde_json::Value)> {
        let authorities = self.file("ca.pem").display().to_string();
        let output = std::process::Command::new(MOAT)
            .args([
                "pvd",
                "fetch",
                "fixed.example",
                "--json",
                "--interface",
                "lo",
            ])
            .args(["--dns", RESOLVER, "--authorities", &authorities])
            .args(["--source", source])
            .args(more)
            .output()?;
        let code = output.status.code().ok_or("killed")?;
        let said = [output.stdout.as_slice(), b"\n", &output.stderr].concat();
        let json = serde_json::from_slice(&output.stdout);
        let json = json.map_err(|_| String::from_utf8_lossy(&said).into_owned())?;
        Ok((code, json))
    }
}

/// A compact JWS of this, with a signature that nobody looks at.
pub(crate) fn compact(payload: &str) -> String {
    let [header, payload, signature] = [r#"{"alg":"ES256"}"#, payload, "signature"]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{payload}.{signature}\n")
}

/// The answer to a question (RFC 1035 §4.1), which is the first thing behind 12 octets.
pub(crate) fn reply(question: &[u8], address_of: impl FnOnce(&str) -> Option<IpAddr>) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while let Some(length) = question
        .get(at)
        .copied()
        .map(usize::from)
        .filter(|it| *it > 0)
    {
        let label = question.get(at + 1..at + 1 + length).unwrap_or_default();
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += 1 + length;
    }
    let kind = question.get(at + 2).copied().unwrap_or_default();
    let found = address_of(&labels.join("."));
    let data = match (kind, found) {
        (1, Some(IpAddr::V4(address))) => Some(address.octets().to_vec()),
        (28, Some(IpAddr::V6(address))) => Some(address.octets().to_vec()),
        _ => None,
    };
    let code = if found.is_some() { 0x80 } else { 0x83 };
    let count = u8::from(data.is_some());
    let mut reply = question.get(..2).unwrap_or_default().to_vec();
    reply.extend([0x85, code, 0, 1, 0, count, 0, 0, 0, 0]);
    reply.extend(question.get(12..at + 5).unwrap_or_default());
    if let Some(data) = data {
        let length = u8::try_from(data.len()).unwrap_or_default();
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length]);
        reply.extend(data);
    }
    reply
}

/// What curl, sent from an address of the host, sees of a URL.
pub(crate) struct Seen {
    /// Exit code of curl.
    pub(crate) code: i32,
    /// The last head, in lower case, and the body.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks with curl for `https://NAME/PATH`, NAME being at this server.
pub(crate) fn curl(web: &Path, from: &str, url: &str, more: &[&str]) -> Outcome<Seen> {
    let server = match from.contains(':') {
        true => "[2001:db8:f::80]",
        false => "203.0.113.80",
    };
    let resolve = |name: &str| format!("{name}:443:{server}");
    let output = std::process::Command::new("curl")
        .args(["-sS", "-i", "--max-time", "30", "--interface", from])
        .args(["--resolve", &resolve("fixed.example")])
        .args(["--resolve", &resolve("mobile.example")])
        .args(["--resolve", &resolve("other.example")])
        .arg("--cacert")
        .arg(web.join("ca.pem"))
        .args(more)
        .arg(format!("https://{url}"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Ok(Seen {
        code: output.status.code().ok_or("killed")?,
        head: head.to_lowercase(),
        body: body.to_owned(),
    })
}

impl Seen {
    /// The status.
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// A field of the head, whose name is in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.trim()))
    }
}
