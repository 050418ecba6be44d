//! The daemon's end of the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Answer, Command, MAX_MESSAGE_BYTES};

/// Callers served at once; a further one waits.
const MAX_CALLERS: usize = 32;
/// How long a caller may take to say its command.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command and where its answer goes.
#[derive(Debug)]
pub(crate) struct Call {
    /// What is asked.
    pub(crate) command: Command,
    /// Who waits for it; it may have gone away.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// A bound control socket; its file goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

/// The control socket cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the control socket {}: {error}", path.display())]
pub(crate) struct BindError {
    path: PathBuf,
    error: io::Error,
}

impl BindError {
    /// Whether something else is there already.
    pub(crate) fn is_taken(&self) -> bool {
        use io::ErrorKind::{AddrInUse, AlreadyExists};
        matches!(self.error.kind(), AddrInUse | AlreadyExists)
    }
}

/// Binds the control socket for its owner alone. A file that a dead daemon left is replaced.
///
/// # Errors
/// When another daemon listens there, or the path cannot be used.
pub(crate) fn bind(path: &Path) -> Result<Listener, BindError> {
    bind_with(path, 0o600)
}

/// The same for every user of this node: of a daemon that only tells.
///
/// # Errors
/// As [`bind`].
pub(crate) fn bind_for_everybody(path: &Path) -> Result<Listener, BindError> {
    bind_with(path, 0o666)
}

fn bind_with(path: &Path, mode: u32) -> Result<Listener, BindError> {
    try_bind(path, mode).map_err(|error| BindError {
        path: path.to_owned(),
        error,
    })
}

fn try_bind(path: &Path, mode: u32) -> io::Result<Listener> {
    if BlockingStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another daemon listens there; stop it, or give this one another `control`",
        ));
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
            fs::remove_file(path)?;
        }
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file of another kind; give `control` a path of its own",
            ));
        }
        Err(_) => {}
    }
    let socket = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(Listener {
        socket,
        path: path.to_owned(),
    })
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nothing depends on it: a socket without a listener is replaced at the next start.
        let _gone = fs::remove_file(&self.path);
    }
}

impl Listener {
    /// The next caller.
    ///
    /// # Errors
    /// Those of the system, as without a descriptor.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.socket.accept().await?;
        Ok(stream)
    }

    /// Serves callers for ever, passing their commands to `calls`.
    pub(crate) async fn serve(self, calls: mpsc::Sender<Call>) {
        let places = std::sync::Arc::new(Semaphore::new(MAX_CALLERS));
        loop {
            let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match self.accept().await {
                Ok(stream) => {
                    let calls = calls.clone();
                    tokio::spawn(async move {
                        if let Err(error) = serve_one(stream, &calls).await {
                            tracing::debug!(%error, "a caller of the control socket went away");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket takes no caller");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn serve_one(stream: UnixStream, calls: &mpsc::Sender<Call>) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reading.take(MAX_MESSAGE_BYTES));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Command>(&line) {
        Ok(command) => ask(command, calls).await,
        Err(error) => Answer::failure(&format!("this is no command: {error}")),
    };
    let mut text = serde_json::to_string(&answer)?;
    text.push('\n');
    writing.write_all(text.as_bytes()).await
}

async fn ask(command: Command, calls: &mpsc::Sender<Call>) -> Answer {
    let (answer, waiting) = oneshot::channel();
    if calls.send(Call { command, answer }).await.is_err() {
        return Answer::failure(&"the daemon is stopping");
    }
    waiting
        .await
        .unwrap_or_else(|_| Answer::failure(&"the daemon is stopping"))
}
