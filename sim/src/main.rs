//! Runs storms: `cargo run -p moat-sim -- --seed 7` replays one, `--seeds 1000` runs so many.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use moat_sim::storm::{Plan, run};

/// Homes and providers in bad weather, from a seed; exits 1 if in any of them something happened that must not
#[derive(Debug, Parser)]
struct Args {
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many homes
    #[arg(long, default_value_t = 200)]
    homes: usize,
    /// How long each storm lasts, in minutes of its own time
    #[arg(long, default_value_t = 60)]
    minutes: u32,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan {
        homes: args.homes,
        minutes: args.minutes,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "any moment will do as the origin of a virtual clock"
    )]
    let start = Instant::now();
    let mut code = ExitCode::SUCCESS;
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        match run(start, seed, plan) {
            Ok(summary) => println!("seed {seed}: {summary:?}"),
            Err(fault) => {
                eprintln!("seed {seed} {fault}");
                code = ExitCode::from(1);
            }
        }
    }
    code
}
