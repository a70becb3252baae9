//! A fixture: the bytes of a disk that is not ours, as a small TOML file, and
//! what a refusal of it must say. capture.py makes them; tests only read them.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// One kind of content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    pub(crate) kind: String,
    /// Package and version of the tool, or "generated".
    pub(crate) made: String,
    /// The command, or what was generated.
    pub(crate) how: String,
    pub(crate) size: u64,
    pub(crate) expect: Vec<Expect>,
    run: Vec<Run>,
}

/// One reason must hold this word and one of these offsets: a format may have
/// several magic strings, and libblkid's versions differ in which they name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) word: String,
    pub(crate) offsets: Vec<u64>,
}

/// Bytes at an offset; a negative one counts from the end of the disk.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    at: i64,
    hex: Option<String>,
    /// With `text`, `byte` or `random`: how far it is repeated.
    len: Option<usize>,
    text: Option<String>,
    byte: Option<String>,
    random: Option<u64>,
}

/// All fixtures, by name.
pub(crate) fn all() -> Vec<Fixture> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Fixture {
    let text = fs::read_to_string(path).unwrap();
    let fixture: Fixture =
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(
        path.file_stem().unwrap().to_str(),
        Some(fixture.kind.as_str())
    );
    assert!(
        !fixture.expect.is_empty(),
        "{} expects nothing",
        fixture.kind
    );
    fixture
}

impl Fixture {
    /// Writes the content into a new sparse file.
    pub(crate) fn materialise(&self, dir: &Path) -> PathBuf {
        let path = dir.join(&self.kind);
        let file = File::create_new(&path).unwrap();
        file.set_len(self.size).unwrap();
        for run in &self.run {
            let at = match u64::try_from(run.at) {
                Ok(at) => at,
                Err(_) => self.size - run.at.unsigned_abs(),
            };
            let bytes = run.bytes();
            assert!(
                at + bytes.len() as u64 <= self.size,
                "{}: too long",
                self.kind
            );
            file.write_all_at(&bytes, at).unwrap();
        }
        path
    }

    /// Whether it is told by more than bytes that are not zero.
    pub(crate) fn has_signature(&self) -> bool {
        let plain = |e: &Expect| matches!(e.word.as_str(), "data" | "claim");
        !self.expect.iter().all(plain)
    }

    /// What a refusal should say and these reasons do not.
    pub(crate) fn missing_from(&self, reasons: &[String]) -> Vec<String> {
        self.expect
            .iter()
            .filter(|expect| !reasons.iter().any(|reason| expect.is_met_by(reason)))
            .map(|expect| format!("{} at {:?}", expect.word, expect.offsets))
            .collect()
    }
}

impl Expect {
    fn is_met_by(&self, reason: &str) -> bool {
        let mut words = reason.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        reason.contains(&self.word) && words.any(|word| self.is_offset(word))
    }

    /// Data without a signature is told by any byte of it; which one a sample
    /// meets first is not for the fixture to say, only that it is not before.
    fn is_offset(&self, word: &str) -> bool {
        match word.parse::<u64>() {
            Ok(offset) if self.word == "data" => self.offsets.iter().any(|&first| offset >= first),
            Ok(offset) => self.offsets.contains(&offset),
            Err(_) => false,
        }
    }
}

impl Run {
    fn bytes(&self) -> Vec<u8> {
        match (self.len, &self.hex, &self.text, &self.byte, self.random) {
            (None, Some(hex), None, None, None) => from_hex(hex),
            (Some(len), None, Some(text), None, None) => repeat(text.as_bytes(), len),
            (Some(len), None, None, Some(byte), None) => repeat(&from_hex(byte), len),
            (Some(len), None, None, None, Some(seed)) => random(seed, len),
            _ => panic!("a run is hex, or a length with text, byte or random: {self:?}"),
        }
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn repeat(unit: &[u8], len: usize) -> Vec<u8> {
    unit.iter().copied().cycle().take(len).collect()
}

/// xorshift64: the same bytes as in capture.py.
pub(crate) fn random(mut seed: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        out.extend_from_slice(&seed.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Hash over the size and every byte: of each 64 KiB that is not all zero, its
/// offset and content. Skips holes, so that sparse disks are quick to hash.
pub(crate) fn hash(path: &Path) -> String {
    const CHUNK: u64 = 64 << 10;
    let mut file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut hasher = Sha256::new();
    hasher.update(size.to_le_bytes());
    let mut buffer = vec![0; usize::try_from(CHUNK).unwrap()];
    let mut at = 0;
    while let Some(data) = next_data(&file, at, size) {
        at = data / CHUNK * CHUNK;
        let want = usize::try_from(CHUNK.min(size - at)).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut buffer[..want]).unwrap();
        if buffer[..want].iter().any(|&b| b != 0) {
            hasher.update(at.to_le_bytes());
            hasher.update(&buffer[..want]);
        }
        at += CHUNK;
    }
    hasher
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// Where the next byte that is not in a hole is.
fn next_data(file: &File, at: u64, size: u64) -> Option<u64> {
    use nix::errno::Errno;
    use nix::unistd::{Whence, lseek};
    if at >= size {
        return None;
    }
    match lseek(file, i64::try_from(at).unwrap(), Whence::SeekData) {
        Ok(data) => Some(u64::try_from(data).unwrap()),
        Err(Errno::ENXIO) => None,
        Err(e) => panic!("seek for data: {e}"),
    }
}
