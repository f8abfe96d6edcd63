//! What is kept host by host is what a look at everything finds.

use dockfleet_crds::FLEET_LABEL;
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::HostRemovalPolicy;
use dockfleet_planner::select::{Selection, selection};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::index::HostState;
use crate::parent::ParentName;

/// What happens to a fleet.
#[derive(Clone, Debug)]
enum Event {
    /// A host comes, or has other labels; it may be kept until it is clean.
    Host(&'static str, Vec<&'static str>, bool),
    /// Somebody deletes an existing host.
    Deletes(&'static str),
    /// A host was deleted.
    Gone(&'static str),
    /// A network comes, or asks for other hosts: for these labels.
    Network(&'static str, Vec<&'static str>),
    /// A network was deleted, with or without finalizers.
    Lost(&'static str),
    /// The namespace `far` becomes one of the fleet's, or is one no more.
    Fleet(bool),
    /// Everything is written that is asked for.
    Settle,
    /// The agent of a host has done everything.
    Report(&'static str, bool),
    /// An assignment was deleted.
    Unassigned(&'static str),
}

fn event() -> impl Strategy<Value = Event> {
    let host = || select(vec!["h1", "h2", "far/h3"]);
    let name = || select(vec!["web", "db"]);
    let labels = || vec(select(vec!["a", "b", "c"]), 0..3);
    prop_oneof![
        4 => (host(), labels(), any::<bool>()).prop_map(|(h, l, c)| Event::Host(h, l, c)),
        1 => host().prop_map(Event::Deletes),
        1 => host().prop_map(Event::Gone),
        4 => (name(), labels()).prop_map(|(n, l)| Event::Network(n, l)),
        1 => name().prop_map(Event::Lost),
        2 => any::<bool>().prop_map(Event::Fleet),
        4 => Just(Event::Settle),
        2 => (host(), any::<bool>()).prop_map(|(h, done)| Event::Report(h, done)),
        1 => host().prop_map(Event::Unassigned),
    ]
}

fn labelled(names: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    names.iter().map(|name| (*name, "yes")).collect()
}

impl World {
    fn known(&self, host: &str) -> Option<DockerHost> {
        self.index.hosts.get(&at(host))?.host.clone()
    }

    fn has_assignment(&self, host: &str) -> bool {
        let state = self.index.hosts.get(&at(host));
        state.is_some_and(|s| s.assignment.is_some())
    }

    fn befalls(&mut self, event: &Event, generation: i64) {
        match event {
            Event::Host(name, labels, clean) => {
                let Name { namespace, name } = at(name);
                let mut host = DockerHost::new(&name, DockerHostSpec::default());
                host.metadata.namespace = Some(namespace);
                host.metadata.uid = Some(format!("uid-{name}"));
                host.metadata.labels = Some(map(&labelled(labels)));
                host.spec.allowed_namespaces.from = NamespacesFrom::All;
                if *clean {
                    host.spec.removal = HostRemovalPolicy::Clean;
                    host.metadata.finalizers = Some(vec![CLEAN_FINALIZER.to_owned()]);
                }
                self.write_host(host);
            }
            Event::Deletes(name) => {
                if let Some(mut host) = self.known(name) {
                    host.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
                    self.write_host(host);
                }
            }
            Event::Gone(name) => {
                if let Some(host) = self.known(name) {
                    self.take_in(WatchChange::Host(Seen::Deleted(host.metadata)));
                }
            }
            Event::Network(name, labels) => {
                let mut network = network(name, "");
                network.spec.host_selector = Some(selector(&labelled(labels)));
                network.metadata.generation = Some(generation);
                self.network(&network);
            }
            Event::Lost(name) => {
                let name =
                    ParentName::new(Kind::DockerNetwork, &Name::of(&network(name, "").metadata));
                self.index.delete_parent(&name, None);
            }
            Event::Fleet(is_in) => {
                let value = if *is_in { "true" } else { "false" };
                self.namespace("far", &[(FLEET_LABEL, value)]);
            }
            Event::Settle => self.settle(),
            Event::Report(host, done) => {
                let state = if *done {
                    EntryState::Gone
                } else {
                    EntryState::Ready
                };
                if self.has_assignment(host) {
                    self.report(host, state);
                }
            }
            Event::Unassigned(host) => {
                self.index.delete_assignment(&at(host), None);
            }
        }
    }

    /// Checks what is kept against a look at everything.
    fn is_as_scanned(&self) -> Result<(), TestCaseError> {
        let index = &self.index;
        for (uid, parent) in &index.parents {
            let resource = &*parent.object;
            let selects = |host: &&Name| {
                let host = index.hosts[*host].host();
                host.is_some_and(|h| selection(resource, h, &index.namespaces) != Selection::No)
            };
            let selected: BTreeSet<Name> = index.hosts.keys().filter(selects).cloned().collect();
            prop_assert_eq!(&parent.selected, &selected);
            for (name, state) in &index.hosts {
                prop_assert_eq!(state.selected_by.contains(uid), selected.contains(name));
            }
        }
        let entries = index.hosts.values().flat_map(HostState::entries);
        let uids: BTreeSet<String> = entries.map(|e| e.uid.clone()).collect();
        prop_assert_eq!(
            index.placements.keys().cloned().collect::<BTreeSet<_>>(),
            uids.clone()
        );
        for uid in uids {
            let with = |which: &dyn Fn(&Name) -> bool| -> BTreeSet<Name> {
                let has = |name: &&Name| index.hosts[*name].entry(&uid).is_some();
                let all = index.hosts.keys().filter(has);
                all.filter(|name| which(name)).cloned().collect()
            };
            let present = |name: &Name| {
                let state = &index.hosts[name];
                state.host().is_some() && state.entry(&uid).unwrap().intent == Intent::Present
            };
            let selected = |name: &Name| {
                let parent = index.parents.get(&uid);
                parent.is_some_and(|p| p.selected.contains(name))
            };
            let placements = &index.placements[&uid];
            prop_assert_eq!(placements.all(), &with(&|_| true));
            prop_assert_eq!(placements.present(), with(&present).len());
            prop_assert_eq!(
                placements.lost(),
                &with(&|name| present(name) && !selected(name))
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_equals_a_scan_of_everything(history in vec(event(), 1..30)) {
        let mut world = World::of(0);
        for (event, generation) in history.iter().zip(1..) {
            world.befalls(event, generation);
            world.is_as_scanned()?;
        }
    }
}
