//! What is said to `moat pvd exec`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use pvd::InterfaceName;

use crate::provisioning::watch::DEFAULT_CONTROL;

/// What to run, and where.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The PvD: its ID, the link-local address of the router of an implicit one, or the interface if that has only one
    #[arg(long, value_name = "PVD")]
    pub(crate) pvd: String,
    /// The interface that it is on, where several have one of this name
    #[arg(long, value_name = "INTERFACE")]
    pub(crate) interface: Option<InterfaceName>,
    /// User, by name or number, that the command runs as; without it whoever called sudo, else the caller
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Socket of `moat pvd watch`
    #[arg(long, value_name = "PATH", env = "MOAT_PVD_CONTROL", default_value = DEFAULT_CONTROL)]
    pub(crate) control: PathBuf,
    /// Command to run, with its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,
}
