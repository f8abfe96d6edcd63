//! `make generate`: writes the CRDs into a folder, generated from the types.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use dockfleet_crds::manifests;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("usage: generate FOLDER")?;
    for (file, crd) in manifests::all() {
        fs::write(Path::new(&folder).join(file), manifests::yaml(&crd)?)?;
    }
    Ok(())
}
