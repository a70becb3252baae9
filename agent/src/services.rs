//! Who holds a directory, and stopping and starting the services among them.
//! Holders are found in /proc; systemd is asked only to stop and to start.

mod proc;
mod units;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tracing::{info, warn};

use crate::fault;
use crate::mounting;
use crate::spawn::{self, Argv};

/// Units that an interrupted run may have left stopped. Below /run, since a
/// boot starts everything anyway.
const RECORD: &str = "/run/instore/stopped-units";

/// Who uses a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// Units that systemd can stop.
    pub units: Vec<String>,
    /// Processes of no such unit: shells, pods.
    pub processes: Vec<Process>,
    /// Overlay mounts whose layers are below the directory: containers.
    pub mounts: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub command: String,
    /// The unit that it belongs to, if systemd can stop it.
    pub unit: Option<String>,
}

impl Holders {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty() && self.processes.is_empty() && self.mounts.is_empty()
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self.units.clone();
        words.extend(self.processes.iter().map(Process::to_string));
        words.extend(
            self.mounts
                .iter()
                .map(|m| format!("a container's mount {}", m.display())),
        );
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

/// Finds who uses anything in these directories, this process left out.
///
/// # Errors
/// When /proc cannot be read at all.
pub fn holders(dirs: &[&Path]) -> Result<Holders> {
    let mut found = Holders {
        mounts: overlays(dirs)?,
        ..Holders::default()
    };
    let systemd = units::running();
    let own_unit = units::own();
    for process in proc::using(dirs)? {
        match &process.unit {
            // A unit that is stopped would take this process with it.
            Some(unit) if systemd && own_unit.as_ref() != Some(unit) => {
                found.units.push(unit.clone());
            }
            _ => found.processes.push(process),
        }
    }
    if systemd {
        found.units.extend(units::well_known(dirs));
        found.units = units::with_dependants(found.units, units::is_active);
    }
    Ok(found)
}

/// Containers whose layers are in the directories.
fn overlays(dirs: &[&Path]) -> Result<Vec<PathBuf>> {
    Ok(mounting::mounts()?
        .into_iter()
        .filter(|m| m.fs == "overlay" && units::layers(&m.options).any(|l| beneath(l, dirs)))
        .map(|m| m.at)
        .collect())
}

fn beneath(path: &Path, dirs: &[&Path]) -> bool {
    dirs.iter().any(|d| path.starts_with(d))
}

/// Stops units.
///
/// # Errors
/// When systemctl fails.
pub fn stop(units: &[String]) -> Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    info!(units = units.join(" "), "stop services");
    spawn::run(&stop_argv(units)).context("stop services")?;
    Ok(())
}

/// Starts units, one after another, without their dependencies: they ran a
/// moment ago, and a drop-in may make them wait for the very run that starts
/// them.
///
/// # Errors
/// When systemctl fails; the others are started all the same.
pub fn start(units: &[String]) -> Result<()> {
    let mut result = Ok(());
    for unit in in_start_order(units) {
        info!(unit, "start service");
        if let Err(error) = spawn::run(&start_argv(unit)) {
            result = result.and(Err(error.context(format!("start {unit}"))));
        }
    }
    result
}

/// What others stand on comes first.
fn in_start_order(units: &[String]) -> Vec<&str> {
    const RUNTIMES: [&str; 2] = ["containerd.service", "docker.socket"];
    let mut ordered: Vec<&str> = units.iter().map(String::as_str).collect();
    ordered.sort_by_key(|unit| (!RUNTIMES.contains(unit), *unit == "kubelet.service"));
    ordered
}

fn stop_argv(units: &[String]) -> Argv {
    systemctl(&["stop"], units)
}

fn start_argv(unit: &str) -> Argv {
    systemctl(
        &["start", "--job-mode=ignore-dependencies"],
        &[unit.to_owned()],
    )
}

fn systemctl(words: &[&str], units: &[String]) -> Argv {
    let mut argv = vec!["systemctl"];
    argv.extend(words);
    argv.push("--");
    argv.extend(units.iter().map(String::as_str));
    Argv::new(&argv)
}

/// Does work while nobody holds the directories: stops the services that do,
/// and starts them again whatever came of the work.
///
/// # Errors
/// When somebody cannot be stopped, when the work fails, or when a service
/// does not start again; both causes are told if there are two.
pub fn with_stopped<T>(dirs: &[&Path], work: impl FnOnce() -> Result<T>) -> Result<T> {
    let found = holders(dirs)?;
    let mut units = found.units.clone();
    units.extend(units::read_record(Path::new(RECORD)));
    units.sort();
    units.dedup();
    if units.is_empty() {
        // Nothing to stop, so who is there now is who would be left.
        return nobody_left(dirs, &found).and_then(|()| work());
    }
    units::write_record(Path::new(RECORD), &units)?;
    fault::boundary("stop services");
    let result = stop(&units)
        .and_then(|()| nobody_left(dirs, &holders(dirs)?))
        .and_then(|()| work());
    fault::boundary("start services");
    let started = start(&units).and_then(|()| units::remove_record(Path::new(RECORD)));
    match (result, started) {
        (Ok(value), Ok(())) => Ok(value),
        (Err(e), Ok(())) => Err(e),
        (Ok(_), Err(s)) => Err(s),
        (Err(e), Err(s)) => Err(e.context(format!("{s:#}; before that"))),
    }
}

/// Whether a run that was interrupted left services stopped.
#[must_use]
pub fn are_left_stopped() -> bool {
    !units::read_record(Path::new(RECORD)).is_empty()
}

/// Starts the services that a run which was killed left stopped. For the
/// beginning of a run that may find nothing else to do.
///
/// # Errors
/// When a service does not start.
pub fn start_left_stopped() -> Result<()> {
    let record = Path::new(RECORD);
    let units = units::read_record(record);
    if units.is_empty() {
        return Ok(());
    }
    warn!(
        units = units.join(" "),
        "start services that an interrupted run left stopped"
    );
    start(&units)?;
    units::remove_record(record)
}

fn nobody_left(dirs: &[&Path], left: &Holders) -> Result<()> {
    if left.is_empty() {
        return Ok(());
    }
    let dirs: Vec<String> = dirs.iter().map(|d| d.display().to_string()).collect();
    bail!(
        "free {}: still in use by {left}: stop that, or drain the node, and try again",
        dirs.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemctl_is_started_once_for_all() {
        let units = [
            "kubelet.service".to_owned(),
            "containerd.service".to_owned(),
        ];
        assert_eq!(
            stop_argv(&units).0.join(" "),
            "systemctl stop -- kubelet.service containerd.service"
        );
        assert_eq!(
            start_argv("kubelet.service").0.join(" "),
            "systemctl start --job-mode=ignore-dependencies -- kubelet.service"
        );
        let units = units.map(|u| u.clone());
        assert_eq!(
            in_start_order(&units),
            ["containerd.service", "kubelet.service"]
        );
    }

    #[test]
    fn holders_read_as_a_sentence() {
        let holders = Holders {
            units: vec!["containerd.service".into()],
            processes: vec![Process {
                pid: 7,
                command: "bash".into(),
                unit: None,
            }],
            mounts: vec!["/run/x/rootfs".into()],
        };
        assert_eq!(
            holders.to_string(),
            "containerd.service, process 7 (bash), a container's mount /run/x/rootfs"
        );
    }
}
