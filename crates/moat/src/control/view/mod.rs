//! What the control API shows, in the names that design and documentation use.

mod mitigation;
mod request;
mod scope;
mod session;
mod state;
mod stored;

pub(crate) use self::mitigation::MitigationView;
pub(crate) use self::request::{
    AskedView, NotAskedView, RequestView, SelectionView, UnprotectedView,
};
pub(crate) use self::scope::Dropped;
pub(crate) use self::session::{ServerSessionView, SessionView, are_reached};
pub(crate) use self::state::{end, status};
pub(crate) use self::stored::NotStoredView;
