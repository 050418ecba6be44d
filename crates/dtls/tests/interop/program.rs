//! Processes that a test talks to.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use crate::PATIENCE;
use crate::common::pki::Identity;

/// A process whose output is read line by line; it ends with this value.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
    _files: Option<tempfile::TempDir>,
}

impl Program {
    /// `None`, with a word about it, if there is no such program.
    pub(crate) fn start<S: AsRef<OsStr>>(
        name: &'static str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Option<Self> {
        let spawned = Command::new(name)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = spawned else {
            println!("skipped: there is no program {name} to talk to");
            return None;
        };
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Some(Self {
            name,
            child,
            lines,
            _files: None,
        })
    }

    /// `openssl` with the certificate and the trust anchors of `identity`.
    pub(crate) fn openssl(command: &str, identity: &Identity, arguments: &[&str]) -> Option<Self> {
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str, pem: &[u8]| {
            let path = files.path().join(name);
            fs::write(&path, pem).unwrap();
            path
        };
        let certificate = path("cert.pem", &identity.certificate);
        let key = path("key.pem", &identity.key);
        let anchors = path("ca.pem", &identity.anchors);
        let credentials = ["-verify_return_error", "-cert"].map(Path::new);
        let credentials = [
            &[Path::new(command)],
            &credentials[..],
            &[&certificate, Path::new("-key"), &key],
            &[Path::new("-CAfile"), &anchors],
        ]
        .concat();
        let arguments = arguments.iter().map(Path::new);
        let mut program = Self::start("openssl", credentials.into_iter().chain(arguments))?;
        program._files = Some(files);
        Some(program)
    }

    pub(crate) fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        // In one piece: the program sends what it reads at once.
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    pub(crate) fn hear(&self, wanted: &str) {
        let until = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Ok(line) = self
            .lines
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if line.contains(wanted) {
                return;
            }
            heard.push(line);
        }
        panic!("{} did not say {wanted:?}, but {heard:#?}", self.name);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
