//! Gateways between inside clients and servers of providers, whole but for encryption.

mod aggregation;
mod blame;
mod cdids;
mod churn;
mod conflicts;
mod discovery;
mod domains;
mod fan_out;
mod lifetimes;
mod limits;
mod loops;
mod net;
mod node;
mod overlap;
mod restart;
mod scale;
mod statuses;
mod steering;
mod translation;
