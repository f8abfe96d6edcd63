//! The Helm chart, its alerts and dashboard, each with the real tools: Helm, promtool,
//! the API server.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers for a field it lacks with null"
)]

mod alerts;
mod combinations;
mod dashboard;
mod project;
