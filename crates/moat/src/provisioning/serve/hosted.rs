//! One PvD that is served: its certificate and its object, each as its files last said it rightly.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jose::MAX_SIGNED_BYTES;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::x509::X509;
use pvd::PvdId;
use pvd::information::MAX_OBJECT_BYTES;

use super::document::{Document, Unfit};
use super::tls::Identity;
use crate::config::ServedPvd;
use crate::provisioning::file::{self, Stamp};

/// Longest file with certificates or a key, in bytes.
const MAX_PEM_BYTES: usize = 1 << 20;

/// A PvD, and what it is served with.
pub(super) struct Hosted {
    files: ServedPvd,
    identity: Identity,
    identity_stamps: [Option<Stamp>; 2],
    document: Document,
    document_stamps: [Option<Stamp>; 2],
    /// Whether it was said that the object has expired.
    is_said_expired: bool,
}

/// Why a PvD cannot be served with the files that there are.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{}: {source}", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{}: there is no certificate in it", file.display())]
    NoCertificate { file: PathBuf },
    #[error("{}: there is no private key in it", file.display())]
    NoPrivateKey { file: PathBuf },
    #[error("{} with {}: {error}", certificate.display(), private_key.display())]
    Identity {
        certificate: PathBuf,
        private_key: PathBuf,
        error: ErrorStack,
    },
    #[error("{}: {why}", file.display())]
    Unfit { file: PathBuf, why: Unfit },
    #[error("{}: it has expired", file.display())]
    Expired { file: PathBuf },
}

impl Hosted {
    /// Reads the files. An object that has expired is no reason not to begin: the other PvDs need their server.
    ///
    /// # Errors
    /// [`Fault`]
    pub(super) fn load(files: ServedPvd) -> Result<Self, Fault> {
        Ok(Self {
            identity_stamps: identity_stamps(&files),
            identity: read_identity(&files)?,
            document_stamps: document_stamps(&files),
            document: read_document(&files)?,
            files,
            is_said_expired: false,
        })
    }

    pub(super) fn id(&self) -> &PvdId {
        &self.files.id
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    /// Looks whether files have changed, and says whether the certificate is another one now. What is wrong with them is said
    /// once, and what they said before goes on.
    pub(super) fn look(&mut self, now: SystemTime) -> bool {
        let pvd = self.files.id.clone();
        let stamps = document_stamps(&self.files);
        if std::mem::replace(&mut self.document_stamps, stamps) != stamps {
            let read = read_document(&self.files).and_then(|document| self.fresh(document, now));
            match read {
                Ok(document) => {
                    self.document = document;
                    self.is_said_expired = false;
                    tracing::info!(%pvd, "the object is read again");
                }
                Err(error) => tracing::warn!(%pvd, %error, "the object before is served on"),
            }
        }
        if self.document.expires <= now && !self.is_said_expired {
            self.is_said_expired = true;
            tracing::warn!(%pvd, "the object has expired and is not served any more; put a newer one in its place");
        }
        let stamps = identity_stamps(&self.files);
        if std::mem::replace(&mut self.identity_stamps, stamps) == stamps {
            return false;
        }
        match read_identity(&self.files) {
            Ok(identity) => {
                self.identity = identity;
                tracing::info!(%pvd, "the certificate is read again");
                true
            }
            Err(error) => {
                tracing::warn!(%pvd, %error, "the certificate before is shown on");
                false
            }
        }
    }

    /// The new object, unless it is of no use.
    fn fresh(&self, document: Document, now: SystemTime) -> Result<Document, Fault> {
        match document.expires > now {
            true => Ok(document),
            false => Err(Fault::Expired {
                file: self.files.object.clone(),
            }),
        }
    }
}

fn identity_stamps(files: &ServedPvd) -> [Option<Stamp>; 2] {
    [&files.certificate, &files.private_key].map(|file| Stamp::of(file))
}

fn document_stamps(files: &ServedPvd) -> [Option<Stamp>; 2] {
    let signed = files.signed.as_deref().and_then(Stamp::of);
    [Stamp::of(&files.object), signed]
}

fn read_document(files: &ServedPvd) -> Result<Document, Fault> {
    let object = read(&files.object, MAX_OBJECT_BYTES)?;
    let signed = match &files.signed {
        Some(file) => Some(read(file, MAX_SIGNED_BYTES)?),
        None => None,
    };
    let unfit = |why: Unfit| {
        let signed = files.signed.as_ref().filter(|_| why.is_of_signed_form());
        let file = signed.unwrap_or(&files.object).clone();
        Fault::Unfit { file, why }
    };
    Document::read(&files.id, object, signed.as_deref()).map_err(unfit)
}

fn read_identity(files: &ServedPvd) -> Result<Identity, Fault> {
    let (certificate, private_key) = (&files.certificate, &files.private_key);
    let chain = X509::stack_from_pem(&read(certificate, MAX_PEM_BYTES)?).unwrap_or_default();
    if chain.is_empty() {
        let file = certificate.clone();
        return Err(Fault::NoCertificate { file });
    }
    // Also one that is put in its place later must be nobody else's.
    file::refuse_open_to_others(private_key).map_err(|source| Fault::Unreadable {
        file: private_key.clone(),
        source,
    })?;
    let pem = read(private_key, MAX_PEM_BYTES)?;
    // An empty passphrase keeps OpenSSL from asking for one on the terminal.
    let key = PKey::private_key_from_pem_passphrase(&pem, b"");
    let key = key.map_err(|_| Fault::NoPrivateKey {
        file: private_key.clone(),
    })?;
    let identity = Identity { chain, key };
    match identity.acceptor() {
        Ok(_) => Ok(identity),
        Err(error) => Err(Fault::Identity {
            certificate: certificate.clone(),
            private_key: private_key.clone(),
            error,
        }),
    }
}

fn read(file: &Path, limit: usize) -> Result<Vec<u8>, Fault> {
    file::read(file, limit).map_err(|source| Fault::Unreadable {
        file: file.to_owned(),
        source,
    })
}
