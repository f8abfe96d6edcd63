//! What the measurements of this crate share: samples, processes, and what an API server says of
//! itself.

pub mod exposition;
pub mod sample;
pub mod usage;
pub mod writes;
