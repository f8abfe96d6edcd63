//! A store over a network, from which a restore reads ahead.
//!
//! A restore needs small pieces of packs, mostly one after the other. A request for each would wait for the network
//! each time. So more is read at once, and the last that was read is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use rustic_core::Id;

use super::{Contents, FileKind, Part, Store, StoreError};

/// What is read at once, in bytes: a whole pack of ours.
const BLOCK: u64 = 8 << 20;
/// The most that is kept, in bytes.
const KEPT: usize = 16 << 20;

/// A store that reads ahead.
#[derive(Debug)]
pub(crate) struct AheadStore {
    store: Box<dyn Store>,
    /// The last used one is the last.
    blocks: Mutex<VecDeque<Block>>,
}

/// A part of a pack. Who holds its lock reads it, and others that need it wait.
#[derive(Clone, Debug)]
struct Block {
    pack: Id,
    offset: u64,
    content: Arc<Mutex<Option<Bytes>>>,
}

impl AheadStore {
    pub(crate) fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            blocks: Mutex::default(),
        }
    }

    /// Returns the block of a pack that begins at an offset.
    fn block(&self, pack: &Id, offset: u64) -> Result<Bytes, StoreError> {
        let content = self.place(pack, offset);
        let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = &*content {
            return Ok(content.clone());
        }
        let part = Part {
            offset,
            length: BLOCK,
        };
        let read = self.store.read(FileKind::Pack, pack, Some(part))?;
        *content = Some(read.clone());
        drop(content);
        self.forget();
        Ok(read)
    }

    /// Returns where a block is or will be, as the last used one.
    fn place(&self, pack: &Id, offset: u64) -> Arc<Mutex<Option<Bytes>>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let found = blocks
            .iter()
            .position(|block| block.pack == *pack && block.offset == offset)
            .and_then(|at| blocks.remove(at));
        let block = found.unwrap_or_else(|| Block {
            pack: *pack,
            offset,
            content: Arc::default(),
        });
        let content = Arc::clone(&block.content);
        blocks.push_back(block);
        content
    }

    /// Drops what was not used for longest.
    fn forget(&self) {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = 0;
        let mut first = blocks.len();
        while let Some(block) = first.checked_sub(1).and_then(|at| blocks.get(at)) {
            // One that is being read now counts as a whole one.
            let size = match block.content.try_lock() {
                Ok(content) => content.as_ref().map_or(0, Bytes::len),
                Err(_) => usize::try_from(BLOCK).unwrap_or(usize::MAX),
            };
            kept += size;
            if kept > KEPT {
                break;
            }
            first -= 1;
        }
        blocks.drain(..first);
    }
}

impl Store for AheadStore {
    fn address(&self) -> String {
        self.store.address()
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        self.store.contents()
    }

    fn create(&self) -> Result<(), StoreError> {
        self.store.create()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
        self.store.list(kind)
    }

    fn read(&self, kind: FileKind, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError> {
        let Some(part) = part.filter(|part| kind == FileKind::Pack && part.length > 0) else {
            return self.store.read(kind, id, part);
        };
        let end = part.offset.saturating_add(part.length);
        let mut whole = BytesMut::new();
        let mut begin = part.offset;
        while begin < end {
            let offset = begin / BLOCK * BLOCK;
            let block = self.block(id, offset)?;
            let here = Part {
                offset: begin - offset,
                length: end - begin,
            };
            let found = here.of(&block);
            if found.len() as u64 == part.length {
                return Ok(found);
            }
            if found.is_empty() {
                break;
            }
            begin += found.len() as u64;
            whole.extend_from_slice(&found);
        }
        Ok(whole.freeze())
    }

    fn write(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<(), StoreError> {
        self.store.write(kind, id, content)
    }

    fn write_config(&self, content: &[Bytes]) -> Result<bool, StoreError> {
        self.store.write_config(content)
    }

    fn remove(&self, kind: FileKind, id: &Id) -> Result<(), StoreError> {
        self.store.remove(kind, id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A store with one pack, which counts how often it is asked.
    #[derive(Debug)]
    struct Counted {
        pack: Bytes,
        asked: Arc<AtomicUsize>,
    }

    impl Store for Counted {
        fn address(&self) -> String {
            String::new()
        }
        fn contents(&self) -> Result<Contents, StoreError> {
            Ok(Contents::Repository)
        }
        fn create(&self) -> Result<(), StoreError> {
            Ok(())
        }
        fn list(&self, _: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
            Ok(Vec::new())
        }
        fn read(&self, _: FileKind, _: &Id, part: Option<Part>) -> Result<Bytes, StoreError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Ok(part.unwrap().of(&self.pack))
        }
        fn write(&self, _: FileKind, _: &Id, _: &[Bytes]) -> Result<(), StoreError> {
            Ok(())
        }
        fn write_config(&self, _: &[Bytes]) -> Result<bool, StoreError> {
            Ok(true)
        }
        fn remove(&self, _: FileKind, _: &Id) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn a_pack_is_read_in_large_parts_and_few_are_kept() {
        let size = 20 << 20;
        let pack: Bytes = (0..size).map(|at: u32| at.to_be_bytes()[1]).collect();
        let asked = Arc::new(AtomicUsize::new(0));
        let store = AheadStore::new(Box::new(Counted {
            pack: pack.clone(),
            asked: Arc::clone(&asked),
        }));
        let id = Id::random();
        let read = |offset: u64, length| {
            let part = Part { offset, length };
            let found = store.read(FileKind::Pack, &id, Some(part)).unwrap();
            assert!(found == part.of(&pack), "{part:?}");
            asked.load(Ordering::Relaxed)
        };
        assert_eq!(read(0, 1000), 1);
        assert_eq!(read(1000, 50_000), 1);
        assert_eq!(read(BLOCK - 10, 20), 2, "over the border");
        assert_eq!(read(5, 5), 2);
        assert_eq!(read(u64::from(size) - 10, 20), 3, "over the end");
        assert_eq!(read(0, 1), 3, "the last used ones are kept");
        assert_eq!(read(BLOCK, 1), 4, "and the one not used for longest is not");
        // Two other packs.
        for _ in 0..2 {
            let part = Part {
                offset: 0,
                length: 1,
            };
            store
                .read(FileKind::Pack, &Id::random(), Some(part))
                .unwrap();
        }
        let kept = store.blocks.lock().unwrap();
        let bytes: usize = kept
            .iter()
            .map(|block| block.content.lock().unwrap().as_ref().unwrap().len())
            .sum();
        assert!(bytes <= KEPT, "{bytes}");
    }
}
