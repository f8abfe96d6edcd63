//! Warnings about the options of a volume.

use dockfleet_crds::volume::DockerVolumeSpec;

use crate::resource::SpecWarning;
use crate::secret;

/// Returns a warning for each option with a password, which everybody who can read the resource sees. No
/// warning contains the value.
pub(super) fn warnings(spec: &DockerVolumeSpec) -> Vec<SpecWarning> {
    let kind = spec.options.get("type").map_or("", String::as_str);
    let better = match kind {
        "cifs" | "smb3" => "use the field cifs with credentialsSecret instead of options",
        _ => "use a file on the host that contains it, if the driver can read one",
    };
    let places = secret::credential_places(&spec.options).into_iter();
    places
        .map(|place| SpecWarning {
            reason: "CredentialInOptions",
            message: format!(
                "options: {place} looks like a credential; everybody who can read this resource or query the \
                 engine can see it; {better}"
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::map;

    /// Invariant 9.
    #[test]
    fn i9_a_credential_among_raw_options_is_warned_about_without_its_value() {
        let messages = |options: &[(&str, &str)]| {
            let spec = DockerVolumeSpec {
                options: map(options),
                ..DockerVolumeSpec::default()
            };
            warnings(&spec)
                .into_iter()
                .map(|w| w.message)
                .collect::<Vec<_>>()
        };
        let share = [("type", "cifs"), ("o", "username=a,password=hunter2")];
        assert_eq!(
            messages(&share),
            [
                "options: password in o looks like a credential; everybody who can read this resource or query \
                 the engine can see it; use the field cifs with credentialsSecret instead of options"
            ]
        );
        let [of_plugin] = messages(&[("sftp-pass", "hunter2")]).try_into().unwrap();
        assert!(
            of_plugin.starts_with("options: sftp-pass looks like a credential"),
            "{of_plugin}"
        );
        assert_eq!(
            messages(&[("type", "nfs"), ("o", "addr=192.0.2.1,soft")]),
            Vec::<String>::new()
        );
    }
}
