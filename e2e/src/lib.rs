//! The bench of Dockfleet's end-to-end tests: several Docker hosts and a Kubernetes control plane
//! on one machine.
//!
//! Nothing here is simulated. A [`Fleet`] is a Linux bridge; a [`Host`] is a network namespace
//! plugged into it, which a test can cut off and join again; an [`Engine`] is a Docker Engine of
//! either generation on such a host, which a test can stop, kill, pause and start again; a
//! [`ControlPlane`] is etcd with the real API server, which a test can stop, and set back to an
//! older state; [`Dockfleet`] runs the project's own program, on a host or beside them. A [`Store`] is
//! a server of one of the sorts that keep backups, [`Restic`] judges what is in it, and [`tree`] makes
//! and compares the files.
//!
//! A test starts with `Fleet::new()`, takes hosts from it with `fleet.host("h1")`, starts an engine
//! on each with `Engine::start(&host, Generation::Newest)`, fills it with
//! `engine.import_busybox()`, runs the program with `Dockfleet::find()?.spawn(["agent"],
//! Some(&host))`, and waits for what must become true with [`eventually`], the only way of waiting.
//! When the handles go, in whatever order, so does everything they stand for. What a killed test
//! process leaves behind is removed by the next one.
//!
//! Everything is synchronous, so that a test is a plain function. Tests need root. A program that
//! is missing is an error which names the command that installs it; nothing is skipped in silence.
//!
//! This crate does not check anything about Dockfleet itself: that is what the tests do.

mod at_once;
mod certificates;
mod chart;
mod dockfleet;
mod engine;
pub mod faults;
mod fleet;
mod health;
mod host;
mod kubernetes;
mod owned;
mod process;
mod program;
mod proof;
mod recording;
mod restic;
mod server;
mod store;
mod tools;
pub mod tree;
mod volume_plugin;
mod wait;

pub use at_once::at_once;
pub use certificates::Authority;
pub use dockfleet::Dockfleet;
pub use engine::{Answer, Engine, Generation};
pub use fleet::Fleet;
pub use health::{Health, argo_health, kstatus};
pub use host::Host;
pub use kubernetes::{ApiClient, ControlPlane, ControlPlaneSnapshot};
pub use owned::{Folder, sweep};
pub use process::Process;
pub use program::Output;
pub use proof::is_proof;
pub use recording::{Recording, Version};
pub use restic::{Restic, beyond_restic};
pub use store::{Listen, Relay, RestRules, Store, StoreAddress};
pub use tools::{helm, kubectl, promtool};
pub use volume_plugin::VolumePlugin;
pub use wait::eventually;
