fn main() {
    for (f, c) in dockfleet_crds::manifests::all() {
        std::fs::write(
            format!("crds/manifests/{f}"),
            dockfleet_crds::manifests::yaml(&c).unwrap(),
        )
        .unwrap();
    }
}
