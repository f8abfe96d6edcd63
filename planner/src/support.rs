//! The features that an agent supports. The controller does not assign a resource that needs another feature,
//! and reports why.

use dockfleet_crds::assignment::{Kind, Reason};
use dockfleet_crds::host::AgentFacts;
use strum::{IntoStaticStr, VariantArray};

use crate::assignment::Refusal;
use crate::kinds;
use crate::resource::Resource;

/// A feature that not every agent supports. An agent reports the names of its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum Feature {
    /// Mounts a volume with credentials from the host's own Secret.
    VolumeCredentials,
    /// Sets owner and permissions of the top folder of a volume.
    VolumeOwnership,
    /// Replaces a volume whose data is elsewhere.
    VolumeReplacement,
    /// Tries the ports of other hosts before they join a swarm, and answers at its own.
    Preflight,
}

/// Whether an agent reports a feature.
pub(crate) fn has(agent: Option<&AgentFacts>, feature: Feature) -> bool {
    let name: &str = feature.into();
    agent.is_some_and(|a| a.features.iter().any(|f| f == name))
}

/// Returns the facts that an agent of this version reports about itself.
pub fn this_agent(version: &str) -> AgentFacts {
    let features = Feature::VARIANTS
        .iter()
        .map(|f| <&str>::from(*f).to_owned());
    AgentFacts {
        version: version.to_owned(),
        kinds: Kind::all().map(|k| k.as_str().to_owned()).collect(),
        features: features.collect(),
    }
}

/// Returns why a resource cannot be assigned to a host with this agent, if so. An agent that does not report
/// its features is older than these reports, and supports everything that existed before them.
pub fn refusal(agent: Option<&AgentFacts>, resource: &dyn Resource, host: &str) -> Option<Refusal> {
    let (kind, features) = (resource.kind(), resource.needed_features());
    let lacks = match agent {
        None => !kinds::is_baseline(kind),
        Some(agent) => {
            let has = |list: &[String], word: &str| list.iter().any(|w| w == word);
            !has(&agent.kinds, kind.as_str())
                || features.iter().any(|f| !has(&agent.features, (*f).into()))
        }
    };
    lacks.then(|| {
        let version = agent.map_or("unknown", |a| &a.version);
        let needs: Vec<&str> = features.iter().map(|f| (*f).into()).collect();
        let with = if needs.is_empty() {
            String::new()
        } else {
            format!(" with {}", needs.join(", "))
        };
        Refusal {
            reason: Reason::AgentTooOld,
            message: format!(
                "the agent of host {host} (version {version}) does not support {}{with}; upgrade \
                 the agent",
                kind.as_str()
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::DockerVolume;
    use dockfleet_crds::volume::{CifsSource, DockerVolumeSpec, SecretName};

    use super::*;
    use crate::fixtures;

    fn share() -> DockerVolume {
        let cifs = CifsSource {
            credentials_secret: Some(SecretName {
                name: "login".into(),
            }),
            ..CifsSource::default()
        };
        let spec = DockerVolumeSpec {
            cifs: Some(cifs),
            ..DockerVolumeSpec::default()
        };
        fixtures::volume("share", spec)
    }

    fn message(agent: Option<&AgentFacts>, resource: &dyn Resource) -> Option<String> {
        refusal(agent, resource, "h1").map(|r| {
            assert_eq!(r.reason, Reason::AgentTooOld);
            r.message
        })
    }

    #[test]
    fn an_agent_of_this_version_and_one_that_reports_no_features_get_everything() {
        let (plain, share) = (
            fixtures::volume("plain", DockerVolumeSpec::default()),
            share(),
        );
        let this = this_agent("1.2.3");
        for volume in [&plain, &share] {
            assert_eq!(message(Some(&this), volume), None);
            assert_eq!(message(None, volume), None);
        }
    }

    #[test]
    fn an_agent_does_not_get_a_feature_that_it_does_not_report() {
        let share = share();
        let without_kind = AgentFacts {
            kinds: vec!["DockerNetwork".into()],
            ..this_agent("1.2.3")
        };
        let without_feature = AgentFacts {
            features: Vec::new(),
            ..this_agent("1.2.3")
        };
        for agent in [&without_kind, &without_feature] {
            assert_eq!(
                message(Some(agent), &share).as_deref(),
                Some(
                    "the agent of host h1 (version 1.2.3) does not support DockerVolume with \
                     VolumeCredentials; upgrade the agent"
                )
            );
        }
        let plain = fixtures::volume("plain", DockerVolumeSpec::default());
        assert_eq!(message(Some(&without_feature), &plain), None);
    }
}
