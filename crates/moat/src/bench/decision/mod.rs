//! `moat bench decision`: what it costs to decide whom to ask, and that the networks change.
//!
//! ```text
//! lookups     the longest prefix around an address: moat's index, the prefix-trie crate, a tree of prefixes, a scan
//! decisions   who is asked to protect an address, in more and more networks with more and more prefixes
//! changes     one network gets another prefix: what that costs the index, and a client with standing requests
//! ```
//!
//! No server, no socket. What is compared is measured in one run by one thread, in the time that the thread itself has spent.

mod changes;
mod decisions;
mod inputs;
mod lookups;
mod measure;
mod plot;
mod report;
mod silent;
mod svg;
mod table;

use std::fs::File;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use self::report::{Report, Setup};
use self::table::Table;
use super::error::Error;
use super::parse_seconds;
use crate::terminal::say;

/// PvDs where their number is not what is varied, and prefixes and requests likewise.
const USUAL: inputs::Size = inputs::Size {
    pvds: 4,
    prefixes: 1000,
    requests: 100,
};

/// The most PvDs, prefixes and requests.
const MOST: RangeInclusive<u64> = 2..=1_000_000;

/// Measures what decisions cost.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DecisionArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Draw the result, as SVG
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Seconds for each measurement
    #[arg(long, default_value = "0.5", value_parser = parse_seconds)]
    seconds: f64,
    /// The most provisioning domains
    #[arg(long, default_value_t = 64, value_parser = number(2..=256))]
    pvds: u64,
    /// The most prefixes, of all of them together
    #[arg(long, default_value_t = 100_000, value_parser = number(MOST))]
    prefixes: u64,
    /// The most standing requests
    #[arg(long, default_value_t = 10_000, value_parser = number(MOST))]
    requests: u64,
}

fn number(range: RangeInclusive<u64>) -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(range)
}

/// Measures, and prints and draws the result.
///
/// # Errors
/// When the drawing cannot be written.
pub(crate) fn run(args: &DecisionArgs) -> Result<ExitCode, Error> {
    // Before anybody waits for the numbers.
    let drawing = args.plot.as_deref().map(Drawing::create).transpose()?;
    let report = measure(args);
    if let Some(drawing) = drawing {
        drawing.draw(&report)?;
    }
    if args.json {
        say!("{}", serde_json::to_string(&report)?);
    } else {
        say!("{}", Table(&report));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the result is drawn.
struct Drawing<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Drawing<'a> {
    fn create(path: &'a Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Self::failed(path))?;
        Ok(Self { path, file })
    }

    fn draw(mut self, report: &Report) -> Result<(), Error> {
        write!(self.file, "{}", plot::draw(report)).map_err(Self::failed(self.path))
    }

    fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
        Error::system(format!("write {}", path.display()))
    }
}

fn measure(args: &DecisionArgs) -> Report {
    let patience = Duration::from_secs_f64(args.seconds);
    let most = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let prefixes = steps(10, 10, most(args.prefixes));
    let pvds = steps(2, 2, most(args.pvds));
    let requests = steps(1, 10, most(args.requests));
    let with_prefixes = || {
        prefixes.iter().map(|it| inputs::Size {
            prefixes: *it,
            ..USUAL
        })
    };
    let with_pvds = || pvds.iter().map(|it| inputs::Size { pvds: *it, ..USUAL });
    let with_requests = || {
        requests.iter().map(|it| inputs::Size {
            requests: *it,
            ..USUAL
        })
    };
    let decisions = |size| decisions::measure(size, patience);
    let changes = |size| changes::measure(size, patience);
    Report {
        setup: Setup {
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            seconds: args.seconds,
        },
        lookups: prefixes
            .iter()
            .map(|it| lookups::measure(*it, patience))
            .collect(),
        decisions: report::Decisions {
            by_prefixes: with_prefixes().map(decisions).collect(),
            by_pvds: with_pvds().map(decisions).collect(),
        },
        changes: report::Changes {
            by_prefixes: with_prefixes().map(changes).collect(),
            by_pvds: with_pvds().map(changes).collect(),
            by_requests: with_requests().map(changes).collect(),
        },
    }
}

/// `first`, so many times more, and so on, and `most` at last.
fn steps(first: usize, factor: usize, most: usize) -> Vec<usize> {
    let steps = std::iter::successors(Some(first), |step| step.checked_mul(factor));
    let steps = steps.take_while(|step| *step < most);
    steps.chain([most]).collect()
}
