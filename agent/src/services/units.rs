//! What systemd's units are to us: names found in cgroups, the ones that are
//! known to live in certain directories, and the record of what was stopped.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Services that use a directory even when /proc shows no open file there.
const WELL_KNOWN: &[(&str, &[&str])] = &[
    ("/var/lib/containerd", &["containerd.service"]),
    ("/var/lib/docker", &["docker.service"]),
    ("/var/lib/kubelet", &["kubelet.service"]),
    ("/var/log/pods", &["kubelet.service"]),
    (
        "/var/lib/soci-snapshotter-grpc",
        &["soci-snapshotter.service"],
    ),
];

/// Stopping the first stops the others too on some nodes, or makes them fail;
/// so they are stopped and started together.
const DEPENDANTS: &[(&str, &[&str])] = &[
    ("containerd.service", &["kubelet.service", "docker.service"]),
    (
        "soci-snapshotter.service",
        &["containerd.service", "kubelet.service"],
    ),
];

/// Without it the next client would start the service again half-way.
const SOCKETS: &[(&str, &str, &str)] = &[("docker.service", "docker.socket", "/run/docker.sock")];

/// Whether systemd runs here.
pub(super) fn running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The unit of this process, if it is a service.
pub(super) fn own() -> Option<String> {
    fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| of_cgroup(&text))
}

/// The system service in the text of /proc/PID/cgroup, if there is one that
/// systemctl could stop: pods, containers and sessions have none.
pub(super) fn of_cgroup(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        // Version 2, or systemd's own hierarchy of version 1.
        let systemd = controllers == "name=systemd" || controllers.is_empty();
        (systemd && path != "/").then_some(path)
    })?;
    let theirs = |part: &str| {
        part.ends_with(".scope")
            || part.starts_with("kubepods")
            || part.starts_with("user@")
            || part.contains("cri-containerd")
    };
    if path.split('/').any(theirs) {
        return None;
    }
    path.split('/')
        .rfind(|part| part.ends_with(".service"))
        .map(str::to_owned)
}

/// Well-known services of these directories that are active now.
pub(super) fn well_known(dirs: &[&Path]) -> Vec<String> {
    WELL_KNOWN
        .iter()
        .filter(|(home, _)| {
            let home = Path::new(home);
            dirs.iter()
                .any(|d| d.starts_with(home) || home.starts_with(d))
        })
        .flat_map(|(_, units)| *units)
        .filter(|unit| is_active(unit))
        .map(|unit| (*unit).to_owned())
        .collect()
}

/// Adds the active ones that must stop together with these; sorted.
pub(super) fn with_dependants(
    mut units: Vec<String>,
    active: impl Fn(&str) -> bool,
) -> Vec<String> {
    for (unit, dependants) in DEPENDANTS {
        if units.iter().any(|u| u == unit) {
            units.extend(
                dependants
                    .iter()
                    .filter(|d| active(d))
                    .map(|d| (*d).to_owned()),
            );
        }
    }
    for (service, socket, path) in SOCKETS {
        if units.iter().any(|u| u == service) && Path::new(path).exists() && installed(socket) {
            units.push((*socket).to_owned());
        }
    }
    units.sort();
    units.dedup();
    units
}

fn installed(unit: &str) -> bool {
    ["/etc", "/run", "/usr/lib", "/lib"]
        .iter()
        .any(|dir| Path::new(dir).join("systemd/system").join(unit).exists())
}

/// Whether a service has processes, by its cgroup: spares a process start.
pub(super) fn is_active(unit: &str) -> bool {
    [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/unified",
    ]
    .iter()
    .flat_map(|base| fs::read_dir(base).into_iter().flatten().flatten())
    .filter(|e| e.file_name().to_string_lossy().ends_with(".slice"))
    .any(|slice| populated(&slice.path().join(unit)))
}

fn populated(cgroup: &Path) -> bool {
    if let Ok(events) = fs::read_to_string(cgroup.join("cgroup.events")) {
        return events.lines().any(|l| l == "populated 1");
    }
    fs::read_to_string(cgroup.join("cgroup.procs")).is_ok_and(|t| !t.trim().is_empty())
        || fs::read_dir(cgroup)
            .into_iter()
            .flatten()
            .flatten()
            .any(|e| e.file_type().is_ok_and(|t| t.is_dir()) && populated(&e.path()))
}

/// The directories an overlay is made of, from its mount options.
pub(super) fn layers(options: &str) -> impl Iterator<Item = &Path> {
    options
        .split(',')
        .filter_map(|o| o.split_once('='))
        .filter(|(key, _)| {
            matches!(
                *key,
                "lowerdir" | "upperdir" | "workdir" | "lowerdir+" | "datadir+"
            )
        })
        .flat_map(|(_, dirs)| dirs.split(':'))
        .map(Path::new)
}

pub(super) fn read_record(record: &Path) -> Vec<String> {
    let text = fs::read_to_string(record).unwrap_or_default();
    text.lines()
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Written before anything is stopped.
pub(super) fn write_record(record: &Path, units: &[String]) -> Result<()> {
    let what = || format!("note the services to start again in {}", record.display());
    if let Some(dir) = record.parent() {
        fs::create_dir_all(dir).with_context(what)?;
    }
    let fresh: PathBuf = record.with_extension("new");
    fs::write(&fresh, units.join("\n") + "\n").with_context(what)?;
    fs::rename(&fresh, record).with_context(what)
}

pub(super) fn remove_record(record: &Path) -> Result<()> {
    match fs::remove_file(record) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", record.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_from_pods_and_sessions() {
        for (text, unit) in [
            (
                "0::/system.slice/containerd.service\n",
                Some("containerd.service"),
            ),
            (
                "0::/runtime.slice/kubelet.service/init\n",
                Some("kubelet.service"),
            ),
            (
                "4:memory:/x.service\n1:name=systemd:/system.slice/docker.service\n0::/\n",
                Some("docker.service"),
            ),
            (
                "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-a.scope\n",
                None,
            ),
            (
                "0::/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:a\n",
                None,
            ),
            (
                "0::/kubepods/besteffort/pod1/system.slice/cron.service\n",
                None,
            ),
            ("0::/user.slice/user-0.slice/session-1.scope\n", None),
            (
                "0::/user.slice/user-0.slice/user@0.service/app.slice/x.service\n",
                None,
            ),
            ("0::/init.scope\n", None),
            ("", None),
        ] {
            assert_eq!(of_cgroup(text).as_deref(), unit, "{text}");
        }
    }

    #[test]
    fn dependants_come_along_when_they_are_active() {
        let with = |active: &'static [&'static str]| {
            with_dependants(vec!["containerd.service".into()], |u| active.contains(&u))
        };
        assert_eq!(with(&[]), ["containerd.service"]);
        assert_eq!(
            with(&["kubelet.service"]),
            ["containerd.service", "kubelet.service"]
        );
    }

    #[test]
    fn layers_of_an_overlay_are_read() {
        let found: Vec<_> =
            layers("rw,lowerdir=/a/1:/a/2,upperdir=/b,workdir=/c,index=off").collect();
        assert_eq!(found, ["/a/1", "/a/2", "/b", "/c"].map(Path::new));
    }

    #[test]
    fn the_record_survives_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("run/stopped");
        assert!(read_record(&record).is_empty());
        let units = ["a.service".to_owned(), "b.service".to_owned()];
        write_record(&record, &units).unwrap();
        assert_eq!(read_record(&record), units);
        remove_record(&record).unwrap();
        remove_record(&record).unwrap();
    }
}
