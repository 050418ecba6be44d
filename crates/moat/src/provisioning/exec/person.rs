//! As whom the command runs.

use std::env;
use std::ffi::CString;
use std::io;
use std::path::Path;

use nix::unistd::{Gid, Uid, User, getgrouplist, setgroups, setresgid, setresuid};
use rustix::thread::set_no_new_privs;

/// Of whoever called sudo(8).
const CALLER: &str = "SUDO_UID";

/// Why it does not run as somebody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such user.
    #[error("there is no user {0}")]
    Unknown(String),
    /// The system refused something.
    #[error("cannot become {name}: {error}; it needs root")]
    System {
        /// Who.
        name: String,
        /// What it said.
        error: io::Error,
    },
}

/// A user of this machine, with all of his groups.
#[derive(Clone, Debug)]
pub(super) struct Person {
    user: User,
    groups: Vec<Gid>,
}

impl Person {
    /// Who is named, by name or number; else whoever called sudo; else `None`, whoever it is now.
    ///
    /// # Errors
    /// [`Error`]
    pub(super) fn choose(named: Option<&str>) -> Result<Option<Self>, Error> {
        let caller = env::var(CALLER).ok();
        let Some(name) = named.or(caller.as_deref()) else {
            return Ok(None);
        };
        let found = match name.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(name),
        };
        let system = |error: io::Error| Error::System {
            name: name.to_owned(),
            error,
        };
        let user = found.map_err(|error| system(error.into()))?;
        let user = user.ok_or_else(|| Error::Unknown(name.to_owned()))?;
        let known_as = CString::new(user.name.as_str()).map_err(|error| system(error.into()))?;
        let groups = getgrouplist(&known_as, user.gid).map_err(|error| system(error.into()))?;
        Ok(Some(Self { user, groups }))
    }

    /// Where he is at home.
    pub(super) fn home(&self) -> &Path {
        &self.user.dir
    }

    /// What he is called.
    pub(super) fn name(&self) -> &str {
        &self.user.name
    }

    /// Becomes him for good: with his groups alone, and unless he is root without any capability, and without a way to any by
    /// set-user-ID programs.
    ///
    /// # Errors
    /// [`Error`]
    pub(super) fn become_him(&self) -> Result<(), Error> {
        let user = &self.user;
        setgroups(&self.groups)
            .and_then(|()| setresgid(user.gid, user.gid, user.gid))
            .and_then(|()| setresuid(user.uid, user.uid, user.uid))
            .map_err(io::Error::from)
            .and_then(|()| match user.uid.is_root() {
                true => Ok(()),
                false => Ok(set_no_new_privs(true)?),
            })
            .map_err(|error| Error::System {
                name: user.name.clone(),
                error,
            })
    }
}
