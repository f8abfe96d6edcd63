//! The Helm chart, its alerts and dashboard, and the image, each with the real tools: Helm, promtool,
//! the API server, the Docker Engine, and what `dockfleet` says of itself.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers for a field it lacks with null"
)]

mod alerts;
mod combinations;
mod dashboard;
mod image;
mod life;
mod project;
mod scrape;
