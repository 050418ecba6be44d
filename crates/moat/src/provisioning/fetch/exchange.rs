//! One request over a connection: TLS with the name of the host, GET, and what the server says (RFC 8801 §4.1).

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, LOCATION};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jose::MAX_SIGNED_BYTES;
use openssl::error::ErrorStack;
use openssl::ssl::ErrorCode;
use pvd::information::MAX_OBJECT_BYTES;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::Error;
use super::location::Location;
use super::trust::Environment;

/// How long a handshake may take.
const SECURING: Duration = Duration::from_secs(6);
/// How long the answer may take, to its last byte.
const ANSWERING: Duration = Duration::from_secs(15);
/// Longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most fields of an answer.
const MAX_FIELDS: usize = 64;

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The object.
    Plain(Vec<u8>),
    /// The object, signed.
    Signed(Vec<u8>),
    /// It is elsewhere.
    Elsewhere(String),
}

/// Asks at a location over a connection to its host.
///
/// # Errors
/// [`Error`]
pub(super) async fn ask(
    stream: TcpStream,
    location: &Location,
    environment: &Environment,
) -> Result<Answer, Error> {
    let stream = secure(stream, location, environment).await?;
    let handshake = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(Error::Http)?;
    // What RFC 8801 §7 leaves out, the library leaves out as well: nothing here says who asks.
    let request = Request::get(location.target())
        .header(HOST, location.authority())
        .header(ACCEPT, environment.accept())
        .body(Empty::<Bytes>::new())
        .map_err(|_| Error::Unspeakable)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(Error::Http)?;
        read(response).await
    };
    tokio::select! {
        answered = timeout(ANSWERING, asking) => answered.map_err(|_| Error::Slow("the answer"))?,
        never = drive(connection) => match never {},
    }
}

/// Moves a connection for as long as somebody waits for what comes over it.
async fn drive<E>(connection: impl Future<Output = Result<(), E>>) -> Infallible {
    // Its error is the request's, too.
    let _ended = connection.await;
    pending().await
}

/// The connection, once the server has shown a certificate for the host: a DNS-ID that is equal to its name, from an authority that
/// is trusted. Nobody else is asked about it, so there is no connection outside the PvD.
async fn secure(
    stream: TcpStream,
    location: &Location,
    environment: &Environment,
) -> Result<SslStream<TcpStream>, Error> {
    let ssl = environment
        .session(location.host())
        .map_err(Error::Library)?;
    let mut stream = SslStream::new(ssl, stream).map_err(Error::Library)?;
    let connecting = timeout(SECURING, Pin::new(&mut stream).connect()).await;
    match connecting {
        Err(_) => Err(Error::Slow("the handshake")),
        Ok(Ok(())) => Ok(stream),
        Ok(Err(error)) => Err(match was_cut(&error) {
            true => Error::Broken(error),
            false => Error::Tls {
                error,
                verified: stream.ssl().verify_result(),
            },
        }),
    }
}

/// Whether the connection went, and not TLS.
fn was_cut(error: &openssl::ssl::Error) -> bool {
    /// `SSL_R_UNEXPECTED_EOF_WHILE_READING` of OpenSSL.
    const UNEXPECTED_EOF: i32 = 294;
    let noted = error.ssl_error().into_iter().flat_map(ErrorStack::errors);
    error.io_error().is_some() || error.code() == ErrorCode::SYSCALL || { noted }
        .any(|noted| noted.reason_code() == UNEXPECTED_EOF)
}

async fn read(response: Response<Incoming>) -> Result<Answer, Error> {
    let status = response.status();
    if status.is_redirection() {
        let location = field(&response, &LOCATION);
        let location = location.ok_or(Error::Status(status))?;
        return Ok(Answer::Elsewhere(location.to_owned()));
    }
    if !status.is_success() {
        return Err(Error::Status(status));
    }
    let media_type = field(&response, &CONTENT_TYPE).unwrap_or_default();
    // Parameters are of no meaning here (RFC 8801 §8.5).
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let (limit, answer): (_, fn(Vec<u8>) -> Answer) = match essence.to_ascii_lowercase().as_str() {
        "application/pvd+json" => (MAX_OBJECT_BYTES, Answer::Plain),
        "application/jose" => (MAX_SIGNED_BYTES, Answer::Signed),
        _ => return Err(Error::MediaType(media_type.to_owned())),
    };
    if let Some(encoding) = field(&response, &CONTENT_ENCODING)
        && !encoding.eq_ignore_ascii_case("identity")
    {
        return Err(Error::Encoded(encoding.to_owned()));
    }
    let body = response.into_body();
    if usize::try_from(body.size_hint().lower()).is_ok_and(|bytes| bytes > limit) {
        return Err(Error::TooLarge(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(answer(collected.to_bytes().to_vec())),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Http(*error),
            Err(error) if error.is::<LengthLimitError>() => Error::TooLarge(limit),
            Err(_) => Error::Slow("the answer"),
        }),
    }
}

/// A field that is there and can be read.
fn field<'a>(response: &'a Response<Incoming>, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}
