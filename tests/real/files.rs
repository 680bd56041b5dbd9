//! Files to move about: pseudo-random, so that nothing that is lost, doubled or out of place goes
//! unnoticed.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::launch;

/// Bytes in a mebibyte.
pub(crate) const MIB: usize = 1 << 20;

/// A folder of the test's own, removed when dropped.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("real-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    /// Where it is, as text.
    pub(crate) fn folder(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a pseudo-random file of this many bytes.
    pub(crate) fn random_file(&self, name: &str, seed: u64, bytes: usize) -> PathBuf {
        let path = self.path(name);
        let mut file = BufWriter::new(File::create(&path).unwrap());
        let mut random = Random::new(seed);
        let mut left = bytes;
        let mut block = vec![0; MIB.min(bytes)];
        while left > 0 {
            let count = left.min(block.len());
            random.fill(&mut block[..count]);
            file.write_all(&block[..count]).unwrap();
            left -= count;
        }
        file.flush().unwrap();
        path
    }

    /// A new file to write to.
    pub(crate) fn create(&self, name: &str) -> File {
        File::create(self.path(name)).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = fs::remove_dir_all(&self.path);
        if let Err(error) = removed {
            eprintln!("{} stays: {error}", self.path.display());
        }
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> String {
    let printed = launch([Path::new("sha256sum"), path]).succeed();
    printed.split_whitespace().next().unwrap().to_owned()
}

/// Bytes in a file so far.
pub(crate) fn size(path: &Path) -> usize {
    fs::metadata(path).unwrap().len().try_into().unwrap()
}

/// Bytes from a seed: xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift
/// generators, scrambled").
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The same seed gives the same bytes.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    /// Fills the buffer with the next bytes.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            let word = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// The first bytes of a seed.
    pub(crate) fn bytes(seed: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        Self::new(seed).fill(&mut bytes);
        bytes
    }
}
