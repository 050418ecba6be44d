//! How many files, and so sockets, this process may have open.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as the system allows (`ulimit -Hn`, systemd's `LimitNOFILE`), and says how many that are.
///
/// # Errors
/// When the system refuses even that.
pub(crate) fn allow_all() -> io::Result<u64> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)?;
    Ok(maximum.unwrap_or(u64::MAX))
}
