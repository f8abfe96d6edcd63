//! The content of files: resources with UIDs, and their hosts.

use dockfleet::manifest::{self, Document, ManifestError, Resources};
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::kinds::{self, Work};
use dockfleet_planner::resource::Resource;
use dockfleet_planner::select::{NamespaceLabels, Selection, selection};
use kube::core::ObjectMeta;

use super::identity::uid;
use super::login::Login;
use super::recorded::RecordFolder;
use super::shared::{Shared, called};
use super::target::HostTarget;
use super::{overlap, state};
use crate::args::{FileArgs, Output, StateArgs};
use crate::exit::Exit;
use crate::result::bad_input;

/// The content of files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(super) resources: Vec<Box<dyn Resource>>,
    /// What is known of those that have one object for several hosts.
    pub(super) shared: Shared,
    pub(crate) namespaces: NamespaceLabels,
    pub(crate) credentials: Login,
    pub(crate) targets: Vec<HostTarget>,
    /// Warnings about the files.
    warnings: Vec<String>,
}

/// Reads and checks files. If there are errors, they are printed, each with file, line, object and
/// field, and there is no result.
pub(crate) fn load(args: &FileArgs, output: Output) -> Result<Files, Exit> {
    checked(read(args).map(|(files, _)| files), output)
}

/// Reads and checks files like [`load`], and checks that all of their objects can exist at the same
/// time.
pub(crate) fn load_to_apply(args: &FileArgs, output: Output) -> Result<Files, Exit> {
    checked(read_to_apply(args), output)
}

fn checked(read: Result<Files, Vec<String>>, output: Output) -> Result<Files, Exit> {
    match read {
        Ok(files) => {
            files.warn();
            Ok(files)
        }
        Err(problems) => Err(bad_input(problems, output)),
    }
}

/// Reads and checks files like [`load_to_apply`], without printing.
///
/// # Errors
/// All errors in the files.
fn read_to_apply(args: &FileArgs) -> Result<Files, Vec<String>> {
    let (files, documents) = read(args)?;
    let overlaps = overlap::problems(&files, &documents);
    if overlaps.is_empty() {
        Ok(files)
    } else {
        Err(overlaps)
    }
}

/// Reads and checks files like [`load`], to delete what is in them.
pub(crate) fn load_to_delete(args: &FileArgs, output: Output) -> Result<Files, Exit> {
    let read = read(args).and_then(|(mut files, _)| {
        let lacking = files.lacking_hosts(Lifecycle::Deleted, false);
        files.mark_deleted();
        if lacking.is_empty() {
            Ok(files)
        } else {
            Err(lacking)
        }
    });
    checked(read, output)
}

/// Reads and checks files like [`read_to_apply`], and checks that they can be followed.
///
/// # Errors
/// All errors in the files.
pub(crate) fn read_to_watch(args: &FileArgs) -> Result<Files, Vec<String>> {
    let files = read_to_apply(args)?;
    let unwatchable = files.unwatchable();
    if unwatchable.is_empty() {
        Ok(files)
    } else {
        Err(unwatchable)
    }
}

/// Returns no resources, and the local engine as the only host.
pub(crate) fn local(state: &StateArgs, output: Output) -> Result<Files, Exit> {
    let target = HostTarget::local(state);
    let target = target.map_err(|err| bad_input(vec![format!("{err:#}")], output))?;
    Ok(Files {
        resources: Vec::new(),
        shared: Shared::default(),
        namespaces: NamespaceLabels::new(),
        credentials: Login::default(),
        targets: vec![target],
        warnings: Vec::new(),
    })
}

/// Reads and checks files without printing. Returns the documents too, for the places of later errors.
///
/// # Errors
/// All errors in the files, in their order.
fn read(args: &FileArgs) -> Result<(Files, Vec<Document>), Vec<String>> {
    let words = |errors: Vec<ManifestError>| -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    };
    let problems = unreadable(args);
    if !problems.is_empty() {
        return Err(problems);
    }
    let documents = manifest::load(&args.paths(), args.recursive).map_err(words)?;
    let Resources {
        mut resources,
        hosts,
        namespaces,
        secrets,
        mut warnings,
    } = manifest::check(&documents).map_err(words)?;
    resources.retain(|resource| {
        let hint = kinds::needs_cluster(resource.kind());
        if let Some(hint) = hint {
            warnings.push(format!(
                "{}: nothing is done for it here: {hint}",
                called(&**resource)
            ));
        }
        hint.is_none()
    });
    for resource in &mut resources {
        let kind = resource.kind();
        let uid = uid(kind.as_str(), resource.namespace(), resource.name());
        resource.metadata_mut().uid = Some(uid);
    }
    let mut problems = Vec::new();
    let mut targets = Vec::new();
    for host in hosts {
        let place = place_of(&documents, "DockerHost", &host.metadata);
        match HostTarget::named(host, &args.state) {
            Ok(target) => targets.push(target),
            Err(err) => problems.push(format!("{place}: {err:#}")),
        }
    }
    if targets.is_empty() && problems.is_empty() {
        match HostTarget::local(&args.state) {
            Ok(target) => targets.push(target),
            Err(err) => problems.push(format!("{err:#}")),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    targets.sort_by(|a, b| a.name().cmp(b.name()));
    problems.extend(same_engine(&targets));
    if !problems.is_empty() {
        return Err(problems);
    }
    let credentials = Login::of(&resources, &secrets);
    let root = state::root(&args.state).map_err(|err| vec![format!("{err:#}")])?;
    let shared = Shared::of(&resources, &documents, RecordFolder::in_folder(&root));
    let mut files = Files {
        resources,
        shared,
        namespaces,
        credentials,
        targets,
        warnings,
    };
    files.recall().map_err(|err| vec![format!("{err:#}")])?;
    let problems = files.unsupported(&documents);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok((files, documents))
}

impl Files {
    /// Whether there is a resource that is about unused objects.
    pub(crate) fn prune(&self) -> bool {
        let all = &self.resources;
        all.iter().any(|r| kinds::work(r.kind()) == Work::Pruning)
    }
}

/// Returns the arguments that are files without `-f`.
fn unreadable(args: &FileArgs) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(first) = args.extra.first() {
        problems.push(format!(
            "{} without -f: write -f {first}, each file with a -f of its own, or name their folder; \
             a shell makes several files of *.yaml",
            args.extra.join(", ")
        ));
    }
    problems
}

/// Two hosts with one engine would have two journals, and one would remove the objects of the
/// other.
fn same_engine(targets: &[HostTarget]) -> Vec<String> {
    let mut problems = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        let others = targets
            .iter()
            .take(i)
            .filter(|t| t.endpoint() == target.endpoint());
        problems.extend(others.map(|other| {
            format!(
                "DockerHosts {} and {} have the same endpoint {}; keep one of them",
                other.name(),
                target.name(),
                target.endpoint()
            )
        }));
    }
    problems
}

/// Returns the file and line of the spec of a resource.
pub(super) fn place_of(documents: &[Document], kind: &str, metadata: &ObjectMeta) -> String {
    document_of(documents, kind, metadata).map_or_else(String::new, |d| place_in(d, "spec"))
}

/// Returns the file and line of a field in a document.
pub(super) fn place_in(document: &Document, field: &str) -> String {
    format!("{}:{}", document.source, document.line_of(field))
}

/// Returns the document of a resource.
pub(super) fn document_of<'a>(
    documents: &'a [Document],
    kind: &str,
    metadata: &ObjectMeta,
) -> Option<&'a Document> {
    let text = |d: &Document, pointer: &str| {
        d.value
            .pointer(pointer)
            .and_then(|v| v.as_str().map(str::to_owned))
    };
    documents.iter().find(|d| {
        let namespace = text(d, "/metadata/namespace");
        text(d, "/kind").as_deref() == Some(kind)
            && text(d, "/metadata/name") == metadata.name
            && namespace.is_none_or(|n| metadata.namespace.as_deref() == Some(&*n))
    })
}

impl Files {
    /// Whether what is done on one host depends on others.
    pub(crate) fn needs_rounds(&self, prunes: bool) -> bool {
        self.shared.is_any() || (prunes && self.shared.pruned().next().is_some())
    }

    /// Returns every resource, all with the same lifecycle.
    pub(crate) fn resources(&self, lifecycle: Lifecycle) -> Vec<(&dyn Resource, Lifecycle)> {
        let all = self.resources.iter().map(AsRef::as_ref);
        all.map(|r| (r, lifecycle)).collect()
    }

    /// Prints warnings to standard error.
    fn warn(&self) {
        for warning in &self.warnings {
            anstream::eprintln!("warning: {warning}");
        }
        for (resource, _) in self.resources(Lifecycle::Live) {
            for warning in resource.warnings() {
                warn(resource, &warning.message);
            }
        }
        for resource in self.unselected() {
            warn(resource, "selects none of the hosts");
        }
    }

    /// Returns the resources that select none of the hosts.
    pub(crate) fn unselected(&self) -> Vec<&dyn Resource> {
        let resources = self.resources(Lifecycle::Live).into_iter().map(|(r, _)| r);
        let is_selected = |resource: &&dyn Resource| {
            let mut hosts = self.targets.iter().map(|target| &target.host);
            hosts.any(|host| selection(*resource, host, &self.namespaces) != Selection::No)
        };
        resources.filter(|r| !is_selected(r)).collect()
    }
}

fn warn(resource: &dyn Resource, message: &str) {
    let (kind, namespace, name) = (
        resource.kind().as_str(),
        resource.namespace(),
        resource.name(),
    );
    anstream::eprintln!("warning: {kind} {namespace}/{name}: {message}");
}
