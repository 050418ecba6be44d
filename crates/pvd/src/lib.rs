//! pvd
