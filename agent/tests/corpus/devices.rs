//! The same contents on block devices, with a rule that allows every one of
//! them: `apply` must refuse, name each disk's content, and change no byte.
//! Root only. Touches no loop device but those it attached itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::fixture::{self, Fixture};

/// Disks of one apply: enough to be quick, few enough to read a failure.
const BATCH: usize = 10;
/// A disk that tells of another owner, who is named instead of its content and
/// on whose account every disk of the node is left alone.
const OWNED: (&str, &str) = ("md-1.2-kubernetes", "kubernetes");

/// A loop device over a file of ours, detached when dropped.
struct Loop {
    device: String,
}

impl Loop {
    fn attach(file: &Path) -> Self {
        let output = run(Command::new("losetup").args(["--show", "--find"]).arg(file));
        assert!(output.status.success(), "losetup: {}", said(&output));
        Self {
            device: String::from_utf8(output.stdout).unwrap().trim().to_owned(),
        }
    }

    fn name(&self) -> &str {
        self.device.trim_start_matches("/dev/")
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let detached = run(Command::new("losetup").arg("--detach").arg(&self.device));
        if !detached.status.success() && !std::thread::panicking() {
            panic!("detach {}: {}", self.device, said(&detached));
        }
    }
}

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("start {command:?}: {e}"))
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A rule for each file, and nothing else.
fn write_config(dir: &Path, files: &[PathBuf]) -> PathBuf {
    let rules: String = files
        .iter()
        .map(|file| format!("[[allow]]\nbacking_file = \"{}\"\n", file.display()))
        .collect();
    let path = dir.join("config.toml");
    fs::write(&path, rules).unwrap();
    path
}

fn instore(config: &Path, arguments: &[&str]) -> Output {
    // a hang is a failure of its own, not of the whole run
    let mut command = Command::new("timeout");
    command
        .args(["120", env!("CARGO_BIN_EXE_instore"), "--config"])
        .arg(config);
    run(command.args(arguments))
}

/// Each disk has a line of its own, which says what is on it.
fn is_about(line: &str, name: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word == name)
}

/// What went wrong with one batch of disks.
fn refuse(fixtures: &[Fixture], layout: &str) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let disks = dir.path().join("disks");
    fs::create_dir(&disks).unwrap();
    let files: Vec<PathBuf> = fixtures.iter().map(|f| f.materialise(&disks)).collect();
    let before: Vec<String> = files.iter().map(|f| fixture::hash(f)).collect();
    let loops: Vec<Loop> = files.iter().map(|f| Loop::attach(f)).collect();
    let config = write_config(dir.path(), &files);
    let mount = dir.path().join("mnt");
    let output = instore(
        &config,
        &[
            "apply",
            "--layout",
            layout,
            "--mount",
            mount.to_str().unwrap(),
        ],
    );
    let said = said(&output);

    let mut complaints = Vec::new();
    if output.status.code() != Some(3) {
        complaints.push(format!("apply ended with {}:\n{said}", output.status));
    }
    for (fixture, device) in fixtures.iter().zip(&loops) {
        let lines: Vec<String> = said
            .lines()
            .filter(|line| is_about(line, device.name()))
            .map(str::to_owned)
            .collect();
        let missing = if fixture.kind == OWNED.0 {
            let named = lines.iter().any(|line| line.contains(OWNED.1));
            Vec::from_iter((!named).then(|| OWNED.1.to_owned()))
        } else {
            fixture.missing_from(&lines)
        };
        if !missing.is_empty() {
            complaints.push(format!(
                "{}: apply does not name {}; its lines: {lines:?}",
                fixture.kind,
                missing.join(", ")
            ));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    if mounts.contains(dir.path().to_str().unwrap()) {
        complaints.push("something was mounted".into());
    }
    drop(loops);
    for ((fixture, file), before) in fixtures.iter().zip(&files).zip(&before) {
        if &fixture::hash(file) != before {
            complaints.push(format!("{}: it was changed", fixture.kind));
        }
    }
    complaints
}

#[test]
fn apply_refuses_every_kind_and_leaves_it_as_it_is() {
    let (owned, others): (Vec<Fixture>, Vec<Fixture>) =
        fixture::all().into_iter().partition(|f| f.kind == OWNED.0);
    assert_eq!(owned.len(), 1);
    let mut complaints = refuse(&owned, "auto");
    for (number, batch) in others.chunks(BATCH).enumerate() {
        // what is refused does not depend on the layout that was asked for
        let layout = ["auto", "each", "raid0"][number % 3];
        complaints.extend(refuse(batch, layout));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A device whose file was cut short reads as EIO behind the cut.
#[test]
fn a_disk_that_gives_read_errors_is_unreadable_and_never_formatted() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("short");
    fs::File::create_new(&file)
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let device = Loop::attach(&file);
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(32 << 20)
        .unwrap();
    let before = fixture::hash(&file);

    let (code, told) = super::probe_one(Path::new(&device.device));
    assert_eq!(
        (code, told.content.as_str()),
        (Some(4), "Unreadable"),
        "{told:?}"
    );
    let config = write_config(dir.path(), std::slice::from_ref(&file));
    let mount = dir.path().join("mnt");
    let output = instore(&config, &["apply", "--mount", mount.to_str().unwrap()]);
    assert!(
        matches!(output.status.code(), Some(3 | 4)),
        "{}: {}",
        output.status,
        said(&output)
    );
    drop(device);
    assert_eq!(fixture::hash(&file), before);
}
