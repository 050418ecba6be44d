//! A network and process namespace for each test.

use std::any::type_name;
use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Outcome, run, search_path};

const INSIDE: &str = "MOAT_PROCESS_TEST";

/// Runs the body of a test in fresh network and process namespaces: there it runs the same test of
/// the same binary again. Whatever it starts dies with it. The name of the test is that of the
/// function the closure stands in.
pub(crate) fn isolated<Body: FnOnce() -> Outcome>(programs: &[&str], body: Body) -> Outcome {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"])?;
        return body();
    }
    let test = type_name::<Body>().trim_end_matches("::{{closure}}");
    let test = test.split_once("::").map_or(test, |(_crate, path)| path);
    let mut flags = vec!["--net", "--pid", "--fork", "--kill-child"];
    if !rustix::process::geteuid().is_root() {
        flags.push("--map-root-user");
    }
    if let Some(obstacle) = obstacle(&flags, programs) {
        // Not by println!, which the test harness holds back.
        writeln!(std::io::stdout(), "SKIPPED: {test}: {obstacle}")?;
        return Ok(());
    }
    let copies = copies_of(programs)?;
    let path = format!("{}:{}", copies.path().display(), search_path());
    let output = Command::new("unshare")
        .args(&flags)
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    print!("{text}");
    if output.status.success() && text.contains("1 passed") {
        Ok(())
    } else {
        Err(format!("{test} failed in its namespace").into())
    }
}

/// A folder with copies of these programs. AppArmor's profiles name programs by their path, and Debian's let name servers and DHCP
/// servers see no folder of a test. Another program copies them: what this one has open for writing, a child of another
/// thread might hold for a moment longer, and nobody could execute it.
fn copies_of(programs: &[&str]) -> Outcome<TempDir> {
    let folder = tempfile::Builder::new().prefix("programs-").tempdir()?;
    for program in programs {
        let original = run("which", &[program])?;
        let copy = folder.path().join(program).display().to_string();
        run("cp", &[original.trim(), &copy])?;
    }
    Ok(folder)
}

/// What is missing here.
fn obstacle(flags: &[&str], programs: &[&str]) -> Option<String> {
    let namespaces = [flags, &["nft", "list", "ruleset"]].concat();
    if let Err(error) = run("unshare", &namespaces) {
        return Some(format!("it needs nft and namespaces: {error}"));
    }
    let missing = programs
        .iter()
        .find(|program| run("which", &[program]).is_err());
    missing.map(|program| format!("it needs {program}"))
}
