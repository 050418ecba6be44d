//! Configuration files as people write them, right and wrong.

mod advertise;
mod arbitrary;
mod client;
mod discover;
mod files;
mod gateways;
mod machine;
mod pre_shared_keys;
mod reference;
mod routing;
mod selection;
mod server;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::reader::Diagnostics;
use super::{ConfigError, Report, check, report};
use crate::config::HostName;
use crate::pki::{self, InitArgs, IssueArgs, PkiCommand};

/// A folder with a CA, and certificates for `home` (a client) and `dots.fixed.example` (a server).
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let (dir, name) = (folder.path().to_owned(), "Test CA".to_owned());
        pki::make(PkiCommand::Init(InitArgs {
            dir,
            name,
            days: 100,
            force: false,
        }))
        .unwrap();
        folder.issue(|args| args.client = HostName::parse("home").ok());
        folder.issue(|args| args.server = HostName::parse("dots.fixed.example").ok());
        folder
    }

    fn issue(&self, change: impl FnOnce(&mut IssueArgs)) {
        let mut args = IssueArgs {
            dir: self.path().to_owned(),
            server: None,
            client: None,
            addresses: Vec::new(),
            days: 90,
            expired: false,
            force: false,
        };
        change(&mut args);
        pki::make(PkiCommand::Issue(args)).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes `x.toml`.
    fn write(&self, text: &str) -> PathBuf {
        let file = self.path().join("x.toml");
        std::fs::write(&file, text).unwrap();
        file
    }

    fn check(&self, text: &str) -> Report {
        let file = self.write(text);
        report(&file, Diagnostics::new(&file, text))
    }

    /// Everything that is told about a text, without the folder's name.
    fn told(&self, text: &str) -> Vec<String> {
        self.check(text)
            .problems
            .iter()
            .map(|problem| self.strip(problem))
            .collect()
    }

    fn strip(&self, message: &impl ToString) -> String {
        message
            .to_string()
            .replace(&format!("{}/", self.path().display()), "")
    }
}

/// A text with one piece replaced; what to replace must be there.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in the text");
    text.replacen(from, to, 1)
}

/// Tries each case of a table: `from => to` is what to replace (`\n` ends a line), and the indented lines
/// below are all that is told then.
fn assert_told(text: &str, table: &str) {
    let folder = Folder::new();
    let mut lines = table.lines().filter(|line| !line.is_empty()).peekable();
    while let Some(case) = lines.next() {
        let case = case.replace("\\n", "\n");
        let (from, to) = case.split_once(" =>").unwrap();
        let mut wanted = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
            wanted.push(format!("x.toml:{}", line.trim_start()));
        }
        let to = to.strip_prefix(' ').unwrap_or(to);
        assert_eq!(folder.told(&with(text, from, to)), wanted, "{case}");
    }
}

#[test]
fn syntax_errors_are_told_with_their_place() {
    let folder = Folder::new();
    assert_eq!(
        folder.told("listen = [\"::1\"\nstate = \nä = 1\n"),
        [
            "x.toml:2:1: this is not TOML: missing comma between array elements, expected `,`",
            "x.toml:3:1: this is not TOML: missing comma between array elements, expected `,`",
        ]
    );
}

#[test]
fn a_file_of_no_daemon_is_told() {
    let wanted = "x.toml:1:1: this is no daemon's file: a client's has [[pvd]], a server's has [[customer]], \
                  and a gateway's has both";
    for text in ["", "state = \"a\"", "pvd = 1\nlisten = 1"] {
        assert_eq!(Folder::new().told(text), [wanted], "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let folder = Folder::new();
    let told = |file: &Path| folder.strip(&check(file).unwrap_err());
    assert_eq!(
        told(&folder.path().join("none.toml")),
        "none.toml: cannot be read: No such file or directory (os error 2); \
         check its name, and the folder you are in"
    );
    let file = folder.write("");
    std::fs::write(&file, b"state = \"\xff\"").unwrap();
    assert_eq!(
        told(&file),
        "x.toml: is not UTF-8 text; a configuration is a TOML file"
    );
    std::fs::write(&file, vec![b'#'; 8 * 1024 * 1024 + 1]).unwrap();
    assert_eq!(
        told(&file),
        "x.toml: is longer than 8388608 bytes; a configuration is a short TOML file"
    );
}

#[test]
fn the_report_counts_and_json_carries_every_part() {
    let folder = Folder::new();
    let report =
        folder.check("[[pvd]]\nid = \"a.example\"\nprefixes = [\"203.0.113.0/28\"]\ncolor = 1\n");
    assert!(!report.is_ok());
    let text = folder.strip(&report);
    assert_eq!(
        text.lines().last(),
        Some("x.toml: client: 1 error, 1 warning")
    );
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["daemon"], "client");
    let problem = &json["problems"][1];
    assert_eq!(problem["severity"], "fatal");
    assert_eq!(
        (&problem["line"], &problem["column"]),
        (&4.into(), &1.into())
    );
    assert_eq!(problem["key"], "pvd[0].color");
    assert_eq!(
        problem["message"],
        "is not a key of this table; its keys are id, interface, provider, gateway, prefixes, addresses, routers, dots, dns, discover"
    );
}

/// Never a private key in a message, wherever somebody pastes it.
#[test]
fn a_private_key_is_never_repeated() {
    let folder = Folder::new();
    let key = std::fs::read_to_string(folder.path().join("home-key.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap().get(..40).unwrap();
    let texts = [
        format!("private_key = \"\"\"{key}\"\"\""),
        format!("[[pvd]]\n[[pvd.dots]]\nprivate_key = '''{key}'''"),
        format!("private_key = {key}"),
        format!("listen = 1\n{key}"),
        "certificate = \"home-key.pem\"\ntrust_anchors = \"home-key.pem\"\nprivate_key = \"home-key.pem\"".to_owned(),
        with(client::CLIENT, "home.pem", "dots.fixed.example.pem"),
    ];
    for text in texts {
        let report = folder.check(&text);
        assert!(!report.problems.is_empty());
        assert!(!report.to_string().contains(secret), "{report}");
        assert!(!format!("{report:?}").contains(secret));
    }
    let config = super::load_client(&folder.write(client::CLIENT)).unwrap();
    let pem = key
        .as_bytes()
        .iter()
        .map(u8::to_string)
        .take(40)
        .collect::<Vec<_>>()
        .join(", ");
    let debug = format!("{config:?}");
    assert!(!debug.contains(secret) && !debug.contains(&pem), "{debug}");
}

fn invalid(error: ConfigError) -> Vec<super::Problem> {
    match error {
        ConfigError::Invalid { problems } => problems,
        other => panic!("{other}"),
    }
}
