//! Which files each thread of each job names, as fio names them. Pure: whether
//! they are there, and may be used, is not asked here.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::job::{Job, Run};

/// NAME_MAX of Linux: the length of one component.
const NAME_MAX: usize = 255;

/// One file or device of one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Index in `Run::jobs`.
    pub(super) job: usize,
    pub(super) thread: u32,
    /// Which of the thread's files, and of how many.
    pub(super) index: usize,
    pub(super) count: usize,
    pub(super) directory: PathBuf,
    /// One component below it.
    pub(super) name: OsString,
}

impl Wanted {
    pub(super) fn path(&self) -> PathBuf {
        match self.directory == Path::new(".") {
            true => PathBuf::from(&self.name),
            false => self.directory.join(&self.name),
        }
    }
}

/// All of a run, in the order of jobs, threads and files.
pub(super) fn of(run: &Run) -> Result<Vec<Wanted>, String> {
    let mut all = Vec::new();
    for (index, job) in run.jobs.iter().enumerate() {
        let named = named(job).map_err(|why| format!("job {:?}: {why}", job.name))?;
        for thread in 0..job.numjobs {
            let places = match named.is_empty() {
                true => generated(job, thread),
                false => named.clone(),
            };
            let count = places.len();
            for (file, (directory, name)) in places.into_iter().enumerate() {
                all.push(Wanted {
                    job: index,
                    thread,
                    index: file,
                    count,
                    directory,
                    name,
                });
            }
        }
    }
    Ok(all)
}

/// What `filename` says. All threads share these: the first directory counts.
fn named(job: &Job) -> Result<Vec<(PathBuf, OsString)>, String> {
    let place = |filename: &PathBuf| {
        let path = match job.directories.first() {
            None => filename.clone(),
            Some(directory) if filename.is_relative() => directory.join(filename),
            Some(directory) => {
                return Err(format!(
                    "filename {} is absolute and directory {} is given too: say one of them",
                    filename.display(),
                    directory.display()
                ));
            }
        };
        let name = path.file_name().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| format!("filename {filename:?} names no file"))?;
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(format!("filename {filename:?} holds a NUL byte"));
        }
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Ok((
            parent.unwrap_or(Path::new(".")).to_path_buf(),
            name.to_owned(),
        ))
    };
    job.filenames.iter().map(place).collect()
}

/// JOBNAME.THREAD.FILE, in the directories by turns.
fn generated(job: &Job, thread: u32) -> Vec<(PathBuf, OsString)> {
    let turn = match job.directories.len() {
        0 => 0,
        count => thread as usize % count,
    };
    let directory = job.directories.get(turn);
    let directory = directory.map_or(Path::new("."), PathBuf::as_path);
    (0..job.files)
        .map(|file| {
            let name = generated_name(&job.name, thread, file);
            (directory.to_path_buf(), OsString::from(name))
        })
        .collect()
}

/// A job's name may be anything; the file's is always one component.
fn generated_name(job: &str, thread: u32, file: u32) -> String {
    let suffix = format!(".{thread}.{file}");
    let mut name = String::new();
    for c in job.chars() {
        let c = match c {
            '/' => '_',
            c if c.is_control() => '_',
            c => c,
        };
        if name.len() + c.len_utf8() + suffix.len() > NAME_MAX {
            break;
        }
        name.push(c);
    }
    name + &suffix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::testing::{job, run};

    fn paths(job: Job) -> Result<Vec<String>, String> {
        let all = of(&run(vec![job]))?;
        Ok(all.iter().map(|w| w.path().display().to_string()).collect())
    }

    #[test]
    fn files_are_named_as_fio_names_them() {
        let one = Job {
            numjobs: 2,
            files: 2,
            ..job("t")
        };
        assert_eq!(
            paths(one).unwrap(),
            ["t.0.0", "t.0.1", "t.1.0", "t.1.1"].map(String::from)
        );
        let turns = Job {
            numjobs: 3,
            directories: vec!["/a".into(), "/b".into()],
            ..job("t")
        };
        assert_eq!(
            paths(turns.clone()).unwrap(),
            ["/a/t.0.0", "/b/t.1.0", "/a/t.2.0"]
        );
        let shared = Job {
            filenames: vec!["x/y".into(), "z".into()],
            numjobs: 2,
            ..turns
        };
        assert_eq!(paths(shared).unwrap(), ["/a/x/y", "/a/z", "/a/x/y", "/a/z"]);
        let here = Job {
            filenames: vec!["f".into()],
            ..job("t")
        };
        assert_eq!(paths(here).unwrap(), ["f"]);
    }

    #[test]
    fn names_of_jobs_never_leave_the_directory() {
        let long = "ü".repeat(300);
        for name in [
            "../../etc/passwd",
            "..",
            ".",
            "",
            "/",
            "a\nb",
            "a\0b",
            "/dev/nvme1n1",
            &long,
        ] {
            let file = generated_name(name, 4_294_967_295, 4_294_967_295);
            assert!(!file.contains(['/', '\0', '\n']), "{file:?}");
            assert!(file != "." && file != ".." && file.len() <= NAME_MAX);
            let path = Path::new("/d").join(&file);
            assert_eq!(path.parent(), Some(Path::new("/d")), "{file:?}");
        }
    }

    #[test]
    fn names_that_are_no_files_are_refused() {
        let named = |name: &str| Job {
            filenames: vec![name.into()],
            ..job("t")
        };
        assert!(paths(named("/")).unwrap_err().contains("names no file"));
        assert!(paths(named("a/..")).unwrap_err().contains("names no file"));
        assert!(paths(named("a\0b")).unwrap_err().contains("NUL"));
        let both = Job {
            directories: vec!["/d".into()],
            ..named("/dev/x")
        };
        assert!(paths(both).unwrap_err().contains("say one of them"));
    }
}
