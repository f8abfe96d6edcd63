//! The list of the kinds of object that a resource asks of hosts. A new kind is one more line here.

/// Calls a macro with every kind: the name of its resource, and what the engine calls its object. Each
/// crate makes of the list what it needs, so that no other place names every kind.
#[macro_export]
macro_rules! kinds {
    ($then:ident) => {
        $then! {
            DockerNetwork "network",
            DockerVolume "volume",
        }
    };
}

macro_rules! kind {
    ($($kind:ident $object:literal,)*) => {
        /// The kinds of resource that become entries.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, strum::IntoStaticStr, strum::VariantArray,
        )]
        pub enum Kind {
            $(#[doc = concat!("The kind of ", stringify!($kind), ".")] $kind,)*
        }

        impl Kind {
            /// Returns what the engine calls such an object.
            pub fn object(self) -> &'static str {
                match self {
                    $(Self::$kind => $object,)*
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

    /// Returns the kind as it stands in a manifest.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
