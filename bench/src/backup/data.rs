//! The files of the volume: as many, as large and as compressible in every run.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Engine;
use serde_json::Value;

/// The name of the volume.
pub(super) const VOLUME: &str = "data";

const FOLDERS: u32 = 100;
const IN_A_FOLDER: u32 = 100;
/// One file of each folder is large, in bytes. The others have up to twice the middle.
const LARGE: u64 = 4_500_000;
const MIDDLE: u64 = 47_000;
/// Words that text is made of.
const WORDS: u64 = 4096;

/// A volume with files.
#[derive(Debug)]
pub(super) struct Data {
    /// Its folder.
    pub(super) folder: PathBuf,
    pub(super) files: u32,
    pub(super) bytes: f64,
}

impl Data {
    /// Creates the volume and its files. Half of the files are text, of words in a random order.
    pub(super) fn make(engine: &Engine) -> Result<Self> {
        engine.docker(["volume", "create", VOLUME])?;
        let folder = folder_of(engine, VOLUME)?;
        let mut random = Random(1);
        let words: Vec<Vec<u8>> = (0..WORDS).map(|_| word(&mut random)).collect();
        let mut bytes = 0;
        for outer in 0..FOLDERS {
            let inner = folder.join(format!("folder-{outer:02}"));
            fs::create_dir(&inner)?;
            for number in 0..IN_A_FOLDER {
                let size = if number == 0 {
                    LARGE
                } else {
                    random.below(2 * MIDDLE)
                };
                let mut file = BufWriter::new(File::create(inner.join(format!("{number:02}")))?);
                let mut left = usize::try_from(size)?;
                while left > 0 {
                    let random_bytes = random.next().to_le_bytes();
                    let part = if (outer + number) % 2 == 0 {
                        pick(&words, &mut random)
                    } else {
                        &random_bytes
                    };
                    let part = part.get(..left).unwrap_or(part);
                    file.write_all(part)?;
                    left -= part.len();
                }
                file.flush()?;
                bytes += size;
            }
        }
        Ok(Self {
            folder,
            files: FOLDERS * IN_A_FOLDER,
            #[expect(clippy::cast_precision_loss, reason = "shown in megabytes")]
            bytes: bytes as f64,
        })
    }

    /// Checks that a folder has the same files, by name and content.
    pub(super) fn check(&self, restored: &Path) -> Result<()> {
        for number in 0..FOLDERS {
            let name = format!("folder-{number:02}");
            let (from, to) = (self.folder.join(&name), restored.join(&name));
            for number in 0..IN_A_FOLDER {
                let name = format!("{number:02}");
                let original = fs::read(from.join(&name))?;
                let copy = to.join(&name);
                let copied =
                    fs::read(&copy).with_context(|| format!("{} is not there", copy.display()))?;
                ensure!(original == copied, "{} is another one", copy.display());
            }
        }
        Ok(())
    }
}

/// Returns the folder of a volume.
pub(super) fn folder_of(engine: &Engine, volume: &str) -> Result<PathBuf> {
    let found = engine.docker_json(["volume", "inspect", volume])?;
    let folder = found.pointer("/0/Mountpoint").and_then(Value::as_str);
    Ok(folder.context("no mountpoint")?.into())
}

fn pick<'a>(words: &'a [Vec<u8>], random: &mut Random) -> &'a [u8] {
    let index = usize::try_from(random.below(WORDS)).unwrap_or_default();
    words.get(index).map_or(b" ", Vec::as_slice)
}

/// A word of 3 to 10 letters, and a space.
fn word(random: &mut Random) -> Vec<u8> {
    let length = 3 + random.below(8);
    let mut word: Vec<u8> = (0..length)
        .map(|_| b'a' + u8::try_from(random.below(26)).unwrap_or_default())
        .collect();
    word.push(b' ');
    word
}

/// A sequence of numbers: `SplitMix64`, <https://doi.org/10.1145/2660193.2660195>.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
