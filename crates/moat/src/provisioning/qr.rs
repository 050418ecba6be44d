//! `moat pvd qr`: a signed object for the camera of a device that is on no network yet.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use jose::onboarding::{self, NotShort};
use qrcode::render::unicode::Dense1x2;
use qrcode::types::QrError;
use qrcode::{EcLevel, QrCode};

use super::sign;

/// What is drawn.
#[derive(Debug, Args)]
pub(crate) struct QrArgs {
    /// The signed object, or `-` for standard input
    object: PathBuf,
    /// Print the text alone that the QR code stands for
    #[arg(long)]
    text: bool,
}

/// Why nothing is drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Object(#[from] sign::Error),
    /// It is none, or has no room.
    #[error("no QR code: {0}")]
    NotShort(#[from] NotShort),
    /// The library refused.
    #[error("no QR code: {0}")]
    Library(#[from] QrError),
}

impl Error {
    /// Whether the command was fine and the object is not.
    pub(crate) fn is_of_object(&self) -> bool {
        match self {
            Self::Object(error) => error.is_of_object(),
            Self::NotShort(_) | Self::Library(_) => true,
        }
    }
}

/// The text, and the QR code of it.
pub(crate) struct Drawn {
    text: String,
    code: Option<String>,
}

impl fmt::Display for Drawn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => formatter.write_str(code),
            None => formatter.write_str(&self.text),
        }
    }
}

/// Draws a signed object, which nobody verifies on the way.
///
/// # Errors
/// [`Error`]
pub(crate) fn draw(args: &QrArgs) -> Result<Drawn, Error> {
    let text = onboarding::to_text(&sign::compact(&args.object)?)?;
    let code = match args.text {
        true => None,
        false => {
            let code = QrCode::with_error_correction_level(&text, EcLevel::L)?;
            // What is printed is light where the terminal is dark.
            let mut image = code.render::<Dense1x2>();
            let image = image.dark_color(Dense1x2::Light);
            Some(image.light_color(Dense1x2::Dark).build())
        }
    };
    Ok(Drawn { text, code })
}
