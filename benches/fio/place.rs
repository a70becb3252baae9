//! Where both measure: files in a directory of their own, a zram device, or a named one. Each has
//! data that cannot be compressed before it is read. Taken down when dropped.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use tempfile::TempDir;

use crate::cell::{Access, MIB, Target};
use crate::child;
use crate::limit::Limit;
use crate::program::{Bench, Program};

const ZRAM: &str = "/sys/class/zram-control";
/// To remove a device that somebody looks at: udev has it open for a moment.
const TRIES: usize = 50;
const GLANCE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Place {
    // Dropped in this order.
    pub(crate) limit: Limit,
    held: Held,
    access: Access,
    pub(crate) mib: u64,
    content: Content,
}

#[derive(Debug)]
enum Held {
    /// A file for instore, which takes only what it made, and one for fio. Whether buffered.
    Files(TempDir, &'static str),
    Zram(Zram),
    Device(PathBuf),
}

/// What is known to be on a device.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// Nothing was done to it yet: instore says whether it may be used.
    Unknown,
    Empty,
    Data,
}

impl Place {
    pub(crate) fn new(
        bench: &Bench,
        target: &Target,
        access: Access,
        directory: Option<&Path>,
    ) -> Result<Self> {
        let held = match target {
            Target::Cache => Held::Files(directory_in(directory)?, "--direct=0"),
            Target::Disk => Held::Files(directory_in(directory)?, "--direct=1"),
            Target::Zram => Held::Zram(Zram::new()?),
            Target::Device(path) => Held::Device(path.clone()),
        };
        let mut place = Self {
            limit: Limit::None,
            held,
            access,
            mib: MIB,
            content: Content::Unknown,
        };
        match target {
            Target::Cache | Target::Disk => place.make_files(bench)?,
            Target::Zram => {}
            Target::Device(path) => {
                let bytes = File::open(path)?.seek(SeekFrom::End(0));
                place.mib = bytes.with_context(|| format!("measure {}", path.display()))? >> 20;
            }
        }
        Ok(place)
    }

    pub(crate) fn file(&self, program: Program) -> PathBuf {
        match (&self.held, program) {
            (Held::Files(dir, _), Program::Instore) => dir.path().join("instore"),
            (Held::Files(dir, _), _) => dir.path().join("fio"),
            (Held::Zram(zram), _) => zram.path(),
            (Held::Device(path), _) => path.clone(),
        }
    }

    pub(crate) fn direct(&self) -> &'static str {
        match self.held {
            Held::Files(_, direct) => direct,
            Held::Zram(_) | Held::Device(_) => "--direct=1",
        }
    }

    /// Puts it into the state that a program needs: instore lays out what it reads on an empty
    /// device, and empties it again; fio reads what is there. Both write to an empty one.
    pub(crate) fn ready(&mut self, bench: &Bench, program: Program) -> Result<()> {
        if matches!(self.held, Held::Files(..)) {
            return Ok(());
        }
        let wanted = match (program, self.access) {
            (Program::Instore, _) | (_, Access::Write) => Content::Empty,
            (_, Access::Read) => Content::Data,
        };
        if self.content == Content::Unknown {
            // Only instore may find out whether this device may be written.
            self.admit(bench)?;
        }
        match wanted {
            Content::Data if self.content == Content::Empty => {
                self.fill(bench)?;
                self.content = Content::Data;
            }
            // What was written by a run before is not known.
            Content::Empty if self.content == Content::Data => self.empty(bench)?,
            _ => {}
        }
        // fio leaves what it wrote.
        if program != Program::Instore {
            self.content = Content::Data;
        }
        Ok(())
    }

    /// instore reads a block of it, for which it asks all its questions; it leaves it empty.
    fn admit(&mut self, bench: &Bench) -> Result<()> {
        let path = self.file(Program::Instore);
        let mut words = vec![bench.instore.display().to_string()];
        words.extend(
            ["bench", "--destructive", "--name=t", "--rw=read", "--bs=4k"].map(String::from),
        );
        words.extend(["--size=1m", "--output-format=json"].map(String::from));
        words.push(format!("--filename={}", path.display()));
        child::run(&words, &bench.stop)?;
        self.content = Content::Empty;
        Ok(())
    }

    fn fill(&self, bench: &Bench) -> Result<()> {
        let path = self.file(Program::Fio);
        let mut words = vec![bench.fio.display().to_string()];
        words.extend(["--name=fill", "--rw=write", "--bs=128k", "--direct=1"].map(String::from));
        words.extend(["--ioengine=psync", "--refill_buffers"].map(String::from));
        words.push(format!("--size={}m", self.mib.min(MIB)));
        words.push(format!("--filename={}", path.display()));
        child::run(&words, &bench.stop)?;
        Ok(())
    }

    fn empty(&mut self, bench: &Bench) -> Result<()> {
        let path = self.file(Program::Fio).display().to_string();
        let words = ["blkdiscard", "--force", "--zeroout", &path].map(String::from);
        child::run(&words, &bench.stop)?;
        self.content = Content::Empty;
        Ok(())
    }

    /// Both are made by instore, so that both lie on the disk in the same way.
    fn make_files(&self, bench: &Bench) -> Result<()> {
        for program in [Program::Instore, Program::Fio] {
            let path = self.file(program);
            let mut words = vec![bench.instore.display().to_string()];
            words.extend(["bench", "--name=t", "--rw=read", "--bs=1m"].map(String::from));
            words.extend(["--unlink=0", "--output-format=json"].map(String::from));
            words.push(format!("--size={MIB}m"));
            words.push(format!("--filename={}", path.display()));
            child::run(&words, &bench.stop)?;
            if self.direct() == "--direct=0" {
                into_memory(&path)
                    .with_context(|| format!("read {} into memory", path.display()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // As it was found; a run that is stopped here is of our own harness.
        if let (Held::Device(path), Content::Data) = (&self.held, &self.content) {
            let path = path.display().to_string();
            let words = ["blkdiscard", "--force", "--zeroout", &path].map(String::from);
            let emptied = child::Stop::new().and_then(|stop| child::run(&words, &stop));
            if let Err(error) = emptied {
                eprintln!("empty {path}: {error:#}");
            }
        }
    }
}

/// Page by page: a write of 4 KiB into a large folio of ext4 looks at each block of the folio.
fn into_memory(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM)?;
    let mut page = [0; 4096];
    while file.read(&mut page)? > 0 {}
    Ok(())
}

fn directory_in(directory: Option<&Path>) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("bench-fio.");
    let made = match directory {
        Some(directory) => builder.tempdir_in(directory),
        None => builder.tempdir(),
    };
    made.context("make a directory for the files")
}

/// A device of memory, removed when dropped.
#[derive(Debug)]
struct Zram(String);

impl Zram {
    fn new() -> Result<Self> {
        let add = Path::new(ZRAM).join("hot_add");
        let number = fs::read_to_string(&add).with_context(|| {
            format!(
                "make a zram device by {}: is the module zram loaded?",
                add.display()
            )
        })?;
        let zram = Self(number.trim().to_owned());
        let size = format!("/sys/block/zram{}/disksize", zram.0);
        fs::write(&size, format!("{MIB}M")).with_context(|| format!("write {size}"))?;
        Ok(zram)
    }

    fn path(&self) -> PathBuf {
        format!("/dev/zram{}", self.0).into()
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        let mut tries = 0;
        while let Err(error) = fs::write(Path::new(ZRAM).join("hot_remove"), &self.0) {
            tries += 1;
            if tries == TRIES {
                eprintln!("remove zram{}: {error}", self.0);
                return;
            }
            sleep(GLANCE);
        }
    }
}
