//! What a GitOps tool takes out of the cluster because it is in Git no more: done here by `kubectl
//! apply --prune` and `kubectl delete`, with the overlay of `examples/gitops` that people copy.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dockfleet_e2e::Folder;
use dockfleet_e2e::Generation::Newest;

use crate::test_cluster::TestCluster;

/// A copy of the examples, which a test edits as people edit their repository.
struct Repository {
    folder: Folder,
}

impl Repository {
    fn new() -> Result<Self> {
        let folder = Folder::new()?;
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gitops");
        for part in ["base", "overlays/berlin"] {
            let to = folder.path().join(part);
            fs::create_dir_all(&to)?;
            for file in fs::read_dir(from.join(part))? {
                let file = file?;
                fs::copy(file.path(), to.join(file.file_name()))?;
            }
        }
        Ok(Self { folder })
    }

    fn overlay(&self) -> String {
        let overlay = self.folder.path().join("overlays/berlin");
        overlay.display().to_string()
    }

    fn base(&self, file: &str) -> PathBuf {
        self.folder.path().join("base").join(file)
    }

    /// Applies the overlay and takes out what is in it no more.
    fn sync(&self, cluster: &TestCluster) -> Result<String> {
        let allow = "--prune-allowlist=dockfleet.io/v1alpha1";
        let line = format!(
            "apply -k {} -n site-berlin --prune --all {allow}/DockerNetwork {allow}/DockerVolume",
            self.overlay()
        );
        cluster.kubectl(&line)
    }
}

#[test]
fn what_leaves_git_leaves_the_cluster_and_its_data_stays() -> Result<()> {
    let cluster = TestCluster::start(&[("berlin-1", Newest, "{site: berlin}")])?;
    let [host] = cluster.hosts()?;
    let repository = Repository::new()?;
    cluster.kubectl("create namespace site-berlin")?;
    repository.sync(&cluster)?;
    let all = ["dnet/shop", "dnet/site-lan", "dvol/shop-data"];
    let ready = || {
        let mut all = all.iter();
        all.try_for_each(|what| cluster.ready(&format!("{what} -n site-berlin")))
    };
    ready()?;
    let lan = host.network("site-lan")?.context("no network site-lan")?;
    assert_eq!(lan["IPAM"]["Config"][0]["IPRange"], "192.168.40.64/26");
    host.write_into_volume("shop-data", "precious")?;
    let volume = host.volume("shop-data")?;

    // A commit takes a network and the volume away.
    let files = ["networks.yaml", "volumes.yaml", "kustomization.yaml"];
    let before = files.map(|file| fs::read_to_string(repository.base(file)));
    let [networks, volumes, index] = before;
    let (networks, volumes, index) = (networks?, volumes?, index?);
    let (_, site_lan) = networks.split_once("---\n").context("one document")?;
    fs::write(repository.base("networks.yaml"), site_lan)?;
    let without = index.replace("  - volumes.yaml\n", "");
    fs::write(repository.base("kustomization.yaml"), without)?;
    let said = repository.sync(&cluster)?;
    for gone in [
        "dockernetwork.dockfleet.io/shop pruned",
        "dockervolume.dockfleet.io/shop-data pruned",
    ] {
        assert!(said.contains(gone), "{said}");
    }
    host.await_no_network("shop")?;
    cluster.assigned(host, &["site-lan"])?;
    assert_eq!(host.read_from_volume("shop-data")?, "precious");
    assert_eq!(host.volume("shop-data")?, volume);

    // The commit is reverted: the volume is taken up again, with its data.
    fs::write(repository.base("networks.yaml"), networks)?;
    fs::write(repository.base("volumes.yaml"), volumes)?;
    fs::write(repository.base("kustomization.yaml"), index)?;
    repository.sync(&cluster)?;
    ready()?;
    assert_eq!(host.read_from_volume("shop-data")?, "precious");
    assert_eq!(host.volume("shop-data")?, volume);

    // All of it goes.
    cluster.kubectl(&format!("delete -k {} --timeout=60s", repository.overlay()))?;
    host.await_no_network("shop")?;
    host.await_no_network("site-lan")?;
    cluster.assigned(host, &[])?;
    assert_eq!(host.read_from_volume("shop-data")?, "precious");
    assert_eq!(host.volume("shop-data")?, volume);
    Ok(())
}
