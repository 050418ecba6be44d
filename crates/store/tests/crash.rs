//! `kill -9` of a process that commits batches. It shows what a crash of the process does; that a
//! commit also survives a power cut rests on the fsync that SQLite makes for it.

mod common;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use agent::server::Change;
use common::{mitigation, mitigation_key};
use store::{ServerStore, SqliteStore, StoreError};

type Outcome = Result<(), Box<dyn Error>>;

/// Set in the child: the file it writes to.
const CHILD: &str = "MOAT_STORE_CRASH_CHILD";

/// Mitigations in one batch.
const PER_BATCH: u32 = 5;

/// The client whose one mitigation has the number of the last batch.
const LAST: &str = "c0";

/// The last batch that is kept; none is 0.
fn last_batch(store: &mut SqliteStore) -> Result<u32, StoreError> {
    let kept = store.load()?.mitigations;
    let of_last = kept
        .iter()
        .filter(|record| record.key.cuid.as_str() == LAST);
    Ok(of_last.map(|record| record.key.mid.0).max().unwrap_or(0))
}

/// Not a test by itself: what the child does until it is killed. Batch n puts its mitigations
/// and deletes one of the batch before.
#[test]
fn child() -> Outcome {
    let Some(path) = std::env::var_os(CHILD) else {
        return Ok(());
    };
    let mut store = SqliteStore::open(Path::new(&path))?;
    let first = last_batch(&mut store)? + 1;
    for batch in first.. {
        let mut changes: Vec<_> = (0..PER_BATCH)
            .map(|i| Change::Put(mitigation(&format!("c{i}"), batch)))
            .collect();
        changes.push(Change::Delete(mitigation_key(LAST, batch - 1)));
        store.commit(&changes)?;
        // Not by println!, which the test harness holds back.
        writeln!(std::io::stdout(), "acknowledged {batch}")?;
    }
    Ok(())
}

/// Kills the child when it has acknowledged so many batches and a few instructions more; returns
/// the last acknowledged one.
fn kill_after(path: &Path, batches: usize, more: u32) -> Result<u32, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in stdout.lines() {
        // The last line may be cut short; then its batch was acknowledged to nobody.
        let line = line?;
        if let Some(batch) = line.strip_prefix("acknowledged ") {
            acknowledged.push(batch.parse::<u32>()?);
        }
        if acknowledged.len() >= batches && !killed {
            (0..more).for_each(|_| std::hint::spin_loop());
            child.kill()?;
            killed = true;
        }
    }
    child.wait()?;
    assert!(killed, "the child ended by itself");
    acknowledged
        .last()
        .copied()
        .ok_or_else(|| "nothing acknowledged".into())
}

/// Covers: issue 2, item 5 (the store's part).
#[test]
fn after_kill_9_every_acknowledged_batch_is_there_and_none_in_part() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("state.db");
    let mut seed = 0x6d6f_6174_u32;
    for moment in 0..20 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let acknowledged = kill_after(&path, 1 + moment, seed >> 16)?;

        let mut store = SqliteStore::open(&path)?;
        let last = last_batch(&mut store)?;
        assert!(
            last >= acknowledged,
            "batch {acknowledged} was acknowledged, {last} is the last one kept"
        );
        let mitigations = store.load()?.mitigations;
        let kept: Vec<_> = mitigations
            .iter()
            .map(|record| record.key.clone())
            .collect();
        let mut expected = vec![mitigation_key(LAST, last)];
        for i in 1..PER_BATCH {
            expected.extend((1..=last).map(|batch| mitigation_key(&format!("c{i}"), batch)));
        }
        assert_eq!(kept, expected, "after the kill at moment {moment}");
    }
    Ok(())
}
