//! Shared parts of the measurements: samples, processes, and metrics of an API server.

pub mod exposition;
pub mod sample;
pub mod usage;
pub mod writes;
