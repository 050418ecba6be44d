//! What a client proves itself with goes to the server of its PvD and to nobody else (RFC 9284 §5.1).

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::support::{Daemon, Outcome, SERVER_NAME, SERVER_V4, Site, isolated, until};

/// A server at the address where the client's is thought to be: it asks for a certificate and notes
/// what it is shown. Killed when dropped.
struct Stranger {
    child: Child,
    log: std::path::PathBuf,
}

impl Stranger {
    /// With the certificate of a server that a CA of this site has issued.
    fn start(site: &Site, pki: &str) -> Outcome<Self> {
        let log = site.path().join(format!("{pki}.log"));
        let file = fs::File::create(&log)?;
        let own = site.identity(pki, SERVER_NAME);
        let child = Command::new("openssl")
            .args(["s_server", "-dtls1_2", "-accept", SERVER_V4, "-Verify", "2"])
            .arg("-cert")
            .arg(own.certificate)
            .arg("-key")
            .arg(own.private_key)
            .arg("-CAfile")
            .arg(own.trust_anchor)
            .stdin(Stdio::piped())
            .stderr(file.try_clone()?)
            .stdout(file)
            .spawn()?;
        let stranger = Self { child, log };
        until("it listens", || stranger.has_seen("ACCEPT"))?;
        Ok(stranger)
    }

    fn has_seen(&self, text: &str) -> Outcome<bool> {
        let log = fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(&log).contains(text))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

///
#[test]
fn a_server_that_is_not_the_one_of_the_pvd_is_not_shown_the_certificate() -> Outcome {
    isolated(&["openssl"], || {
        let site = Site::new()?;
        // Of another provider, which has put its server where ours is looked for.
        site.init("other")?;
        site.issue("other", &["--server", SERVER_NAME])?;
        let file = site.path().join("client.toml");
        let config = format!(
            "state = \"client/client.db\"\ncontrol = \"client.sock\"\n\
             [[pvd]]\nid = \"fixed.example\"\nprefixes = [\"203.0.113.0/24\"]\n\
             [[pvd.dots]]\nname = \"{SERVER_NAME}\"\naddresses = [\"127.0.0.1\"]\n\
             transports = [\"udp\"]\n\
             certificate = \"pki/home.pem\"\nprivate_key = \"pki/home-key.pem\"\n\
             trust_anchors = \"pki/ca.pem\"\n"
        );
        fs::write(&file, config)?;

        let stranger = Stranger::start(&site, "other")?;
        let mut client = Daemon::launch("client", &file)?;
        client.wait_for("no session")?;
        until("it is told why", || stranger.has_seen("alert unknown ca"))?;
        assert!(!stranger.has_seen("CN = home")?);
        client.kill()?;
        drop(stranger);

        // The right one is shown it, or this test shows nothing.
        let own = Stranger::start(&site, "pki")?;
        let _client = Daemon::launch("client", &file)?;
        until("the certificate is shown", || own.has_seen("CN = home"))
    })
}
