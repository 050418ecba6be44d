//! What is said when it does not work.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use mitigator::nftables::{MitigatorError, Nftables, NftablesConfig};
use mitigator::{FilterChange, Mitigator};

use crate::namespace::{Outcome, filter, isolated, snapshot};

/// What the program that hangs is given, and what nft may take for thousands of rules on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// By when it has certainly been killed, with what it started.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program that takes the place of nft.
fn program(directory: &tempfile::TempDir, script: &str) -> Outcome<PathBuf> {
    let path = directory.path().join("nft");
    fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn with(program: PathBuf) -> Nftables {
    Nftables::new(NftablesConfig {
        program,
        ..NftablesConfig::default()
    })
}

#[test]
fn without_the_capability_the_error_says_which_one() -> Outcome {
    isolated(|| {
        let directory = tempfile::tempdir()?;
        let unprivileged =
            "exec setpriv --bounding-set=-net_admin --inh-caps=-net_admin nft \"$@\"";
        let error = with(program(&directory, unprivileged)?)
            .reconcile(&[])
            .err()
            .ok_or("permitted")?;
        assert!(
            matches!(error, MitigatorError::NotPermitted { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
        Ok(())
    })
}

#[test]
fn a_refused_change_changes_nothing_and_can_be_tried_again() -> Outcome {
    isolated(|| {
        let directory = tempfile::tempdir()?;
        let mut nftables = with(program(&directory, "exec nft \"$@\"")?);
        nftables.reconcile(&[])?;
        let before = snapshot("moat")?;
        let change = [FilterChange::Enforce(filter(
            "m",
            &["203.0.113.7/32"],
            &[],
            &[],
        ))];

        program(&directory, "echo 'Error: no such luck' >&2; exit 1")?;
        let error = nftables.apply(&change).err().ok_or("applied")?;
        assert_eq!(
            error.to_string(),
            "nft refused the change: Error: no such luck"
        );
        program(&directory, "echo nonsense")?;
        assert!(matches!(
            nftables.counters(),
            Err(MitigatorError::Listing { .. })
        ));

        program(&directory, "exec nft \"$@\"")?;
        assert_eq!(snapshot("moat")?, before);
        nftables.apply(&change)?;
        assert_eq!(nftables.counters()?.len(), 1);
        Ok(())
    })
}

#[test]
fn a_change_that_failed_half_way_is_undone_by_the_next_one() -> Outcome {
    isolated(|| {
        let directory = tempfile::tempdir()?;
        let mut nftables = with(program(&directory, "exec nft \"$@\"")?);
        nftables.reconcile(&[])?;
        let before = snapshot("moat")?;
        program(&directory, "nft \"$@\"; exit 1")?;
        let change = FilterChange::Enforce(filter("m", &["203.0.113.7/32"], &[], &[]));
        assert!(nftables.apply(&[change]).is_err());
        assert_ne!(snapshot("moat")?, before);

        program(&directory, "exec nft \"$@\"")?;
        nftables.apply(&[])?;
        assert_eq!(snapshot("moat")?, before);
        Ok(())
    })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it takes real time")]
fn an_nft_that_hangs_is_killed_with_what_it_started_and_repaired_later() -> Outcome {
    isolated(|| {
        let directory = tempfile::tempdir()?;
        let mut nftables = Nftables::new(NftablesConfig {
            program: program(&directory, "exec nft \"$@\"")?,
            time_limit: TIME_LIMIT,
            ..NftablesConfig::default()
        });
        nftables.reconcile(&[])?;
        // More than a pipe holds, so that it cannot be written to one who does not read.
        let hosts: Vec<String> = (0..5000)
            .map(|n| format!("10.0.{}.{}/32", n / 250, n % 250))
            .collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let change = [FilterChange::Enforce(filter("m", &hosts, &[], &[]))];
        let started = directory.path().join("started");
        let script = format!("sleep 1000 & echo $! > '{}'; wait", started.display());
        program(&directory, &script)?;
        let begun = Instant::now();
        let error = nftables.apply(&change).err().ok_or("applied")?;
        assert!(
            matches!(error, MitigatorError::TimedOut { .. }),
            "{error:?}"
        );
        assert!(begun.elapsed() < PATIENCE);
        let child = fs::read_to_string(started)?;
        let status = format!("/proc/{}/stat", child.trim());
        // A signal is delivered when its process is next scheduled.
        while fs::read_to_string(&status).is_ok_and(|status| !status.contains(") Z ")) {
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            thread::sleep(Duration::from_millis(10));
        }

        program(&directory, "exec nft \"$@\"")?;
        nftables.apply(&[])?;
        assert_eq!(nftables.counters()?.len(), 0, "the change was not made");
        nftables.apply(&change)?;
        assert_eq!(nftables.counters()?.len(), 1);
        Ok(())
    })
}

#[test]
fn what_nft_says_becomes_advice() -> Outcome {
    isolated(|| {
        let directory = tempfile::tempdir()?;
        for (said, advice) in [
            (
                "Operation not permitted (you must be root)",
                "run as root or with CAP_NET_ADMIN",
            ),
            (
                "netlink: Error: Could not process rule: Message too long",
                "raise net.core.wmem_default",
            ),
            (
                "Error: syntax error",
                "nft refused the change: Error: syntax error",
            ),
        ] {
            let nft = program(&directory, &format!("echo '{said}' >&2; exit 1"))?;
            let error = with(nft)
                .reconcile(&[])
                .err()
                .ok_or("it worked")?
                .to_string();
            assert!(error.contains(advice) && error.contains(said), "{error}");
        }
        Ok(())
    })
}
