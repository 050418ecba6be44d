//! `moat pvd advertise`: Router Advertisements with PvDs (RFC 8801 §3.2), in place of radvd or beside it.
//!
//! ```text
//! files --objects--> sequence numbers, on disk first --Said--> interface (one task each) <--> icmpv6
//! signals ------------------------------------------Said-->      |  pvd::router::Router decides
//!                                                              ground: addresses to send from
//! ```

mod ground;
mod interface;
mod objects;
mod state;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pvd::router::{Conflict, Router};
use pvd::{InterfaceName, PvdId};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::ground::Ground;
use self::interface::Said;
use self::objects::Objects;
use self::state::StateError;
use crate::config::{self, AdvertiseConfig, ConfigError};
use crate::daemon::{self, SystemError, system};
use crate::shutdown::{self, Told};

/// How often the files with additional information are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Why nothing is advertised.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the file says of an interface cannot be said there.
    #[error("{interface}: {conflict}")]
    Conflict {
        interface: InterfaceName,
        conflict: Conflict,
    },
    /// One PvD has one object.
    #[error("{0} has two files with additional information; name the same one everywhere")]
    TwoObjects(PvdId),
    /// Hosts could not use an object.
    #[error("{pvd}: {}: hosts could not use it: {why}", file.display())]
    Useless {
        pvd: PvdId,
        file: PathBuf,
        why: String,
    },
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Advertises until a signal ends it. SIGHUP has the files with additional information looked at.
///
/// # Errors
/// [`Error`]; whatever is wrong with an interface only puts that one off.
pub(crate) fn run(file: &Path) -> Result<(), Error> {
    let mut config = load(file)?;
    let warnings = std::mem::take(&mut config.warnings);
    daemon::run(&warnings, advertise(config))
}

/// Whether what the file says can be advertised.
///
/// # Errors
/// [`Error::Config`], [`Error::Conflict`], [`Error::TwoObjects`], [`Error::Useless`]
pub(crate) fn check(file: &Path) -> Result<(), Error> {
    let config = load(file)?;
    objects::check(&config, SystemTime::now())
}

fn load(file: &Path) -> Result<AdvertiseConfig, Error> {
    let config = config::load_advertise(file)?;
    for (name, interface) in &config.interfaces {
        let (link, domains) = Ground::imagined().advertised(interface);
        let (random, now) = (fastrand::Rng::new(), std::time::Instant::now());
        let router = Router::new(link, domains, random, now);
        router.map_err(|conflict| Error::Conflict {
            interface: name.clone(),
            conflict,
        })?;
    }
    objects::files(&config)?;
    Ok(config)
}

async fn advertise(config: AdvertiseConfig) -> Result<(), Error> {
    let mut signals = shutdown::signals().map_err(system("listen for signals"))?;
    let numbers = state::load(&config.state)?;
    let mut objects = Objects::new(objects::files(&config)?, numbers, config.state.clone());
    let (said, hear) = watch::channel(Said {
        numbers: objects.look(SystemTime::now(), Instant::now()),
        is_ending: false,
    });
    let mut interfaces = JoinSet::new();
    for (name, interface) in config.interfaces {
        interfaces.spawn_local(interface::advertise(name, interface, hear.clone()));
    }
    drop(hear);
    loop {
        tokio::select! {
            told = signals.told() => if told == Told::End {
                break;
            },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        let numbers = objects.look(SystemTime::now(), Instant::now());
        said.send_if_modified(|said| {
            let is_new = said.numbers != numbers;
            said.numbers = numbers;
            is_new
        });
    }
    said.send_modify(|said| said.is_ending = true);
    while interfaces.join_next().await.is_some() {}
    tracing::info!("moat has told all hosts that it advertises no more");
    Ok(())
}
