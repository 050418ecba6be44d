//! What the run starts as processes of their own: the yardsticks.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;

use super::error::Error;
use super::{EXIT_COULD_NOT_RUN, library};
use crate::terminal::complain;

/// The name of [`HelperCommand::UdpEcho`] on the command line.
pub(super) const UDP_ECHO: &str = "udp-echo";
/// The name of [`HelperCommand::LibraryMemory`] on the command line.
pub(super) const LIBRARY_MEMORY: &str = "library-memory";

/// Room for a datagram.
const DATAGRAM: usize = 2048;

/// What a helper does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum HelperCommand {
    /// Send each datagram back
    #[command(name = UDP_ECHO)]
    UdpEcho {
        /// Where to listen
        address: SocketAddr,
    },
    /// Hold sessions of the bare library, and print the bytes of memory they take
    #[command(name = LIBRARY_MEMORY)]
    LibraryMemory {
        /// The folder with certificates
        folder: PathBuf,
        /// How many, ascending
        sessions: Vec<u32>,
    },
}

/// The hidden subcommand `bench-helper`.
pub(crate) fn helper(command: &HelperCommand) -> ExitCode {
    let done = match command {
        HelperCommand::UdpEcho { address } => echo(*address),
        HelperCommand::LibraryMemory { folder, sessions } => {
            library::print_memory(folder, sessions)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("moat bench: {error}");
            ExitCode::from(EXIT_COULD_NOT_RUN)
        }
    }
}

/// Two system calls for each datagram, and nothing else.
fn echo(address: SocketAddr) -> Result<(), Error> {
    let socket = UdpSocket::bind(address).map_err(Error::system(format!("listen on {address}")))?;
    let mut buffer = [0; DATAGRAM];
    loop {
        let received = socket.recv_from(&mut buffer);
        let (length, source) = received.map_err(Error::system("receive"))?;
        let datagram = buffer.get(..length).unwrap_or_default();
        let sent = socket.send_to(datagram, source);
        sent.map_err(Error::system("send"))?;
    }
}
