//! The JSON of a message: `{"ietf-dots-signal-channel:dots-signal": {...}}` (RFC 9132 §5.3, RFC 7951 §4).

use serde::{Serialize, Serializer};

#[derive(Serialize)]
struct Message<T> {
    #[serde(rename = "ietf-dots-signal-channel:dots-signal")]
    dots_signal: T,
}

#[derive(Serialize)]
struct Scopes<'a, T> {
    scope: &'a [T],
}

/// A message of any kind, from the serialization of what it contains.
pub(crate) fn message<S: Serializer>(
    contents: impl Serialize,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Message {
        dots_signal: contents,
    }
    .serialize(serializer)
}

/// A mitigation message.
pub(crate) fn scopes<T: Serialize, S: Serializer>(
    scope: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    message(Scopes { scope }, serializer)
}

/// `Serialize` for a message with one scope, which the type's own derive (`remote = "Self"`) writes.
macro_rules! scope_message {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                struct Scope<'a>(&'a $name);

                impl serde::Serialize for Scope<'_> {
                    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                        $name::serialize(self.0, s)
                    }
                }

                $crate::json::scopes(&[Scope(self)], serializer)
            }
        }
    };
}
pub(crate) use scope_message;
