use dockfleet_crds::policy::{DeletionPolicy, LossPolicy};
use dockfleet_crds::volume::{DockerVolumeSpec, SecretName};

use super::*;
use crate::fixtures::{self, map, volume_spec};

fn rendered_volume(spec: DockerVolumeSpec) -> Result<DesiredVolume, RenderError> {
    volume(&fixtures::volume("data", spec))
}

fn volume_options(spec: DockerVolumeSpec) -> std::collections::BTreeMap<String, String> {
    rendered_volume(spec).unwrap().options
}

#[test]
fn each_source_of_a_volume_becomes_options_of_the_local_driver() {
    let nfs = |read_only, version: Option<&str>, more: &[&str]| DockerVolumeSpec {
        nfs: Some(NfsSource {
            server: "nas.example".to_owned(),
            path: "/export/a".to_owned(),
            version: version.map(str::to_owned),
            read_only,
            mount_options: more.iter().map(|m| (*m).to_owned()).collect(),
        }),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(nfs(false, None, &[])),
        map(&[
            ("type", "nfs"),
            ("device", ":/export/a"),
            ("o", "addr=nas.example,rw")
        ])
    );
    assert_eq!(
        volume_options(nfs(true, Some("4.2"), &["hard", "timeo=600"]))
            .get("o")
            .unwrap(),
        "addr=nas.example,vers=4.2,ro,hard,timeo=600"
    );
    let cifs = |source: CifsSource| DockerVolumeSpec {
        cifs: Some(CifsSource {
            server: "nas.example".to_owned(),
            share: "team/a b".to_owned(),
            ..source
        }),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(cifs(CifsSource::default())),
        map(&[
            ("type", "cifs"),
            ("device", "//nas.example/team/a b"),
            ("o", "addr=nas.example,rw,username=guest,password=")
        ])
    );
    let full = CifsSource {
        credentials_secret: Some(SecretName {
            name: "login".to_owned(),
        }),
        version: Some("3.1.1".to_owned()),
        uid: Some(1000),
        gid: Some(1001),
        file_mode: Some("640".to_owned()),
        dir_mode: Some("0750".to_owned()),
        read_only: true,
        mount_options: vec!["nobrl".to_owned()],
        ..CifsSource::default()
    };
    assert_eq!(
        volume_options(cifs(full)).get("o").unwrap(),
        "addr=nas.example,vers=3.1.1,ro,uid=1000,gid=1001,file_mode=0640,dir_mode=0750,nobrl"
    );
    let bind = |read_only| DockerVolumeSpec {
        bind: Some(BindSource {
            path: "/srv/data".to_owned(),
            read_only,
        }),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(bind(false)),
        map(&[("type", "none"), ("device", "/srv/data"), ("o", "bind")])
    );
    assert_eq!(volume_options(bind(true)).get("o").unwrap(), "bind,ro");
    let tmpfs = |source| DockerVolumeSpec {
        tmpfs: Some(source),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(tmpfs(TmpfsSource::default())),
        map(&[("type", "tmpfs"), ("device", "tmpfs")])
    );
    let full = TmpfsSource {
        size: Some("64Mi".to_owned()),
        mode: Some("1777".to_owned()),
        uid: Some(1000),
        gid: Some(0),
    };
    assert_eq!(
        volume_options(tmpfs(full)).get("o").unwrap(),
        "size=67108864,mode=1777,uid=1000,gid=0"
    );
}

#[test]
fn a_volume_keeps_driver_size_options_labels_and_policies() {
    let spec = DockerVolumeSpec {
        volume_name: Some("app-data".to_owned()),
        driver: "rexray".to_owned(),
        size: Some("10Gi".to_owned()),
        options: map(&[("fs", "xfs")]),
        labels: map(&[("team", "lab")]),
        loss_policy: LossPolicy::Recreate,
        deletion_policy: DeletionPolicy::Delete,
        ..volume_spec()
    };
    assert_eq!(
        rendered_volume(spec),
        Ok(DesiredVolume {
            name: "app-data".to_owned(),
            driver: "rexray".to_owned(),
            options: map(&[("fs", "xfs"), ("size", "10737418240")]),
            credentials: None,
            ownership: None,
            labels: map(&[("team", "lab")]),
            loss_policy: LossPolicy::Recreate,
            policy: Behaviour {
                deletion: Some(DeletionPolicy::Delete),
                ..Behaviour::default()
            },
        })
    );
}

#[test]
fn an_invalid_size_is_an_error_with_its_field() {
    let spec = DockerVolumeSpec {
        size: Some("64MB".to_owned()),
        ..volume_spec()
    };
    assert_eq!(
        rendered_volume(spec).unwrap_err().to_string(),
        "spec.size: 64MB is not a size such as 64Mi"
    );
}
