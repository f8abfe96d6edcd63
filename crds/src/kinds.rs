//! The list of the kinds of resource. A new kind is one more line here, neither the first nor the last: the first is the
//! least name, and an agent passes entries of unknown kinds to the last.

/// Calls a macro with every kind: the name of its resource, the engine's word for its object, and the
/// plural of the resource.
/// Each crate generates what it needs from this list, so that no other place lists all kinds.
#[macro_export]
macro_rules! kinds {
    ($then:ident) => {
        $then! {
            DockerNetwork "network" "dockernetworks",
            DockerVolume "volume" "dockervolumes",
            BackupRepository "repository" "backuprepositories",
            PrunePolicy "pruning" "prunepolicies",
            VolumeBackup "backup" "volumebackups",
            VolumeBackupSchedule "schedule" "volumebackupschedules",
            VolumeRestore "restore" "volumerestores",
            SwarmCluster "swarm" "swarmclusters",
        }
    };
}

macro_rules! kind {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// The kinds of resource that become entries.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, strum::IntoStaticStr, strum::VariantArray,
        )]
        pub enum Kind {
            $(#[doc = concat!("The kind of ", stringify!($kind), ".")] $kind,)*
        }

        impl Kind {
            /// Returns the engine's word for an object of this kind.
            pub fn object(self) -> &'static str {
                match self {
                    $(Self::$kind => $object,)*
                }
            }

            /// Returns the plural of the resource, as in a path of the API server.
            pub fn plural(self) -> &'static str {
                match self {
                    $(Self::$kind => $plural,)*
                }
            }
        }
    };
}

kinds!(kind);

impl Default for Kind {
    fn default() -> Self {
        Self::DockerNetwork
    }
}

impl Kind {
    /// Returns every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        <Self as strum::VariantArray>::VARIANTS.iter().copied()
    }

    /// Returns the kind as in a manifest.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
