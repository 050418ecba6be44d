//! `moat config check` on a machine where not everybody may do everything.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::support::folder;

/// A user who is not root, and has no rights.
const NOBODY: u32 = 65534;

/// Checks `client.toml` as an ordinary user: exit code and what is told.
fn check_as_nobody(folder: &Path) -> (Option<i32>, String) {
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(folder.join("moat"))
        .args(["config", "check", "client.toml"])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said)
}

#[test]
fn folders_that_cannot_be_written_are_told_and_those_of_another_user_are_warnings() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: it needs root, to become somebody else");
        return;
    }
    let folder = folder();
    let path = folder.path();
    let set_mode = |name: &str, mode| {
        fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode("", 0o755);
    chown(path.join("home-key.pem"), Some(NOBODY), None).unwrap();
    // By another process: what this one has open for writing while it forks cannot be executed.
    let mut copy = Command::new("cp");
    let copied = copy.arg(env!("CARGO_BIN_EXE_moat")).arg(path.join("moat"));
    assert!(copied.status().unwrap().success());
    for (name, owner) in [("own", NOBODY), ("closed", NOBODY), ("foreign", 0)] {
        fs::create_dir(path.join(name)).unwrap();
        chown(path.join(name), Some(owner), None).unwrap();
    }
    set_mode("closed", 0o500);
    let pvd = "[[pvd]]\nid = \"fixed.example\"\nprefixes = [\"203.0.113.0/28\"]\n\
               [[pvd.dots]]\nname = \"dots.fixed.example\"\naddresses = [\"203.0.113.129\"]\n\
               certificate = \"home.pem\"\nprivate_key = \"home-key.pem\"\ntrust_anchors = \"ca.pem\"\n";
    for (place, code, told) in [
        ("own", 0, ""),
        (
            "closed",
            2,
            "state: closed cannot be written: Permission denied",
        ),
        (
            "foreign",
            0,
            "warning: state: user 65534 cannot write foreign, which is user 0's",
        ),
        (
            "foreign/run",
            0,
            "warning: state: user 65534 cannot write foreign, which is user 0's",
        ),
    ] {
        let text = format!("state = \"{place}/client.db\"\ncontrol = \"own/client.sock\"\n{pvd}");
        fs::write(path.join("client.toml"), text).unwrap();
        let (found, said) = check_as_nobody(path);
        assert_eq!(found, Some(code), "{place}: {said}");
        assert!(said.contains(told), "{place}: {said}");
    }
}
