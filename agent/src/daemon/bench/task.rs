//! One suite: the child that runs it, its directory, and what it leaves.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use instore_bench::suite::{Length, SuiteResult};

use super::kept::{self, Kept};
use crate::daemon::state::Pool;
use crate::spawn::{self, Argv, Life};

/// In a directory that is not a pool.
const ELSEWHERE: &str = ".instore-bench";

#[derive(Debug)]
pub(super) struct Task {
    pub(super) program: Argv,
    /// The pool that it is of.
    pub(super) pool: Option<Pool>,
    /// The pool that it loads.
    pub(super) on: Option<Pool>,
    pub(super) directory: PathBuf,
    pub(super) length: Length,
    pub(super) instance_type: Option<String>,
}

impl Task {
    /// For people.
    pub(super) fn target(&self) -> String {
        match &self.pool {
            Some(pool) => format!("pool {}", pool.label),
            None => crate::output::plain(&self.directory.display().to_string()),
        }
    }

    /// Where its files go, and nothing else is.
    fn work(&self) -> PathBuf {
        match &self.pool {
            Some(pool) => pool.at.join(kept::WORK),
            None => self.directory.join(ELSEWHERE),
        }
    }

    fn argv(&self) -> Argv {
        let mut words = self.program.0.clone();
        words.extend(["bench", "--suite"].map(str::to_owned));
        if self.length == Length::Quick {
            words.push("--quick".into());
        }
        words.push(format!("--directory={}", self.work().display()));
        words.push("--output=json".into());
        if let Some(name) = &self.instance_type {
            words.push(format!("--instance-type={name}"));
        }
        Argv(words)
    }

    /// Runs it to its end. Its files are gone afterwards.
    pub(super) fn run(&self, life: &Life, on_line: impl FnMut(&str)) -> Result<Kept> {
        let work = self.work();
        let shown = work.display();
        ensure!(work.to_str().is_some(), "{shown} is not UTF-8");
        self.make(&work).with_context(|| format!("make {shown}"))?;
        let text = spawn::watch(&self.argv(), life, on_line);
        let removed = fs::remove_dir_all(&work).with_context(|| format!("remove {shown}"));
        if life.is_ended() {
            removed?;
            bail!("it was ended before it was done");
        }
        let text = text?;
        removed?;
        let mut result: SuiteResult =
            serde_json::from_str(&text).context("read what the suite printed")?;
        if result.interrupted {
            bail!("it was ended before it was done");
        }
        // Not the directory of the moment, but what it stands for.
        result.target = self.directory.display().to_string();
        let kept = Kept {
            uuid: self
                .pool
                .as_ref()
                .map(|p| p.uuid.clone())
                .unwrap_or_default(),
            result,
        };
        if let Some(pool) = &self.pool {
            kept.store(&pool.at).context("keep the result")?;
        }
        Ok(kept)
    }

    fn make(&self, work: &Path) -> Result<()> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        if let Some(pool) = &self.pool {
            // It is there already: this is no error.
            private.recursive(true).create(pool.at.join(kept::OURS))?;
            private.recursive(false);
            kept::clean(&pool.at)?;
            kept::mark(&pool.at)?;
        }
        match private.create(work) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                bail!("it is there: remove it, if no other suite runs in it")
            }
            made => Ok(made?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            program: Argv::new(&["/proc/self/exe"]),
            pool: Some(Pool {
                label: "instore".into(),
                at: "/data".into(),
                ..Pool::default()
            }),
            on: None,
            directory: "/data".into(),
            length: Length::Quick,
            instance_type: Some("i4i.large".into()),
        }
    }

    #[test]
    fn the_child_gets_a_directory_of_its_own() {
        let words = task().argv().0.join(" ");
        assert_eq!(
            words,
            "/proc/self/exe bench --suite --quick --directory=/data/.instore/bench \
             --output=json --instance-type=i4i.large"
        );
        let elsewhere = Task {
            pool: None,
            directory: "/mnt/ebs".into(),
            length: Length::Full,
            instance_type: None,
            ..task()
        };
        let words = elsewhere.argv().0.join(" ");
        assert_eq!(
            words,
            "/proc/self/exe bench --suite --directory=/mnt/ebs/.instore-bench --output=json"
        );
    }

    #[test]
    fn a_directory_that_is_there_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let task = Task {
            pool: None,
            directory: dir.path().into(),
            ..task()
        };
        let theirs = dir.path().join(ELSEWHERE).join("file");
        fs::create_dir(dir.path().join(ELSEWHERE)).unwrap();
        fs::write(&theirs, "x").unwrap();
        let refused = task.run(&Life::default(), |_| {}).unwrap_err();
        assert!(
            format!("{refused:#}").contains("it is there"),
            "{refused:#}"
        );
        assert!(theirs.exists());
    }
}
