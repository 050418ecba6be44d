//! Signed objects that come as files: what is done with them until they are on the host's shelf, and to keep them.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use pvd::PvdId;
use pvd::host::{Host, Provenance};
use tokio::task::JoinError;

use super::waiting::{Asked, Waiting};
use crate::clock;
use crate::provisioning::fetch::Environment;
use crate::provisioning::shelf::{Brought, Cache, Judge, Judged};

/// The cache, and those that wait for the DNS.
pub(super) struct Objects {
    environment: Rc<Environment>,
    cache: Option<Cache>,
    waiting: Waiting,
}

impl Objects {
    pub(super) fn new(environment: &Rc<Environment>) -> Self {
        Self {
            environment: Rc::clone(environment),
            cache: None,
            waiting: Waiting::default(),
        }
    }

    /// By what files are judged.
    pub(super) fn judge(&self) -> Judge {
        Judge {
            anchors: Arc::clone(self.environment.anchors()),
            asks_dns: self.environment.dane().is_some(),
        }
    }

    /// Gives the host what was kept when this last ran.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn remember(&mut self, folder: &Path, host: &mut Host) -> io::Result<()> {
        let cache = Cache::open(folder)?;
        let now = clock::host_now();
        for judged in cache.load(&self.judge(), now.system)? {
            match judged {
                Judged::Proved(object) => {
                    // The one that lasts longest is there by now, or others have all places.
                    let _shelved = host.handle_object(object, now);
                }
                Judged::Unconfirmed(object) => {
                    let _has_room = self.waiting.put(object);
                }
            }
        }
        self.cache = Some(cache);
        Ok(())
    }

    /// Keeps an object for the next start.
    pub(super) fn keep(&self, pvd: &PvdId, provenance: Provenance, signed: &str) {
        let kept = self
            .cache
            .as_ref()
            .map(|cache| cache.keep(pvd, provenance, signed));
        if let Some(Err(error)) = kept {
            tracing::warn!(%pvd, %error, "the signed object cannot be kept for the next start");
        }
    }

    /// Somebody has brought a file.
    pub(super) fn take(&mut self, brought: Brought, host: &mut Host) {
        // A stranger may have given it a name that a terminal obeys.
        let file = &brought.file;
        let refused = |error: &dyn std::error::Error| {
            tracing::warn!(?file, %error, "is not used");
        };
        match brought.object {
            Ok(Judged::Proved(object)) => match host.handle_object(object, clock::host_now()) {
                Ok(()) => tracing::info!(?file, "a signed object is taken"),
                Err(error) => refused(&error),
            },
            Ok(Judged::Unconfirmed(object)) => {
                let pvd = object.pvd.clone();
                match self.waiting.put(object) {
                    true => {
                        tracing::info!(?file, %pvd, "a signed object waits for its PvD, whose DNS has its keys");
                    }
                    false => {
                        tracing::warn!(?file, "is not used: too many wait for their PvDs");
                    }
                }
                self.ask(host);
            }
            Err(error) => refused(&error),
        }
    }

    /// Asks the DNS about those that wait and whose PvDs are there.
    pub(super) fn ask(&mut self, host: &Host) {
        if !self.waiting.is_empty() {
            let now = clock::host_now();
            let views = host.domains(now);
            self.waiting.ask(&views, &self.environment, now.instant);
        }
    }

    /// What came of the next question.
    pub(super) async fn answered(&mut self) -> Option<Result<Asked, JoinError>> {
        self.waiting.answered().await
    }

    /// The DNS has said which keys a PvD has, or not.
    pub(super) fn confirm(&mut self, answered: Result<Asked, JoinError>, host: &mut Host) {
        let Ok((pvd, asked)) = answered else { return };
        let anchors = match asked {
            Ok(anchors) => anchors,
            Err(error) => return tracing::warn!(%error, "signed objects go on waiting"),
        };
        let now = clock::host_now();
        for object in self.waiting.take(&pvd) {
            let proved = object.confirm(&anchors, now.system);
            let proved = proved.map_err(|forged| forged.to_string());
            let taken = proved.and_then(|object| {
                let taken = host.handle_object(object, now);
                taken.map_err(|error| error.to_string())
            });
            match taken {
                Ok(()) => tracing::info!(%pvd, "a signed object is taken"),
                Err(error) => tracing::warn!(%pvd, error, "a signed object is not used"),
            }
        }
    }

    /// When somebody may be asked again.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.waiting.poll_timeout(now)
    }
}
