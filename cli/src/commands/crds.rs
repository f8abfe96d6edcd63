//! `dockfleet crds`

use anyhow::Context;
use dockfleet_crds::manifests;

use crate::args::CrdsArgs;
use crate::exit::Exit;

/// Prints the CRDs, or writes them into a folder.
pub(crate) fn run(args: &CrdsArgs) -> anyhow::Result<Exit> {
    for (file, text) in manifests::COMMITTED {
        match &args.dir {
            Some(dir) => {
                let path = dir.join(file);
                std::fs::write(&path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
            None => anstream::print!("---\n{text}"),
        }
    }
    Ok(Exit::Ready)
}
