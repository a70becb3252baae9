//! The files that bring instore to a node: the installer into a root of its own,
//! the units as systemd reads them, and the recipes as YAML, MIME and shell.
//! What a recipe does on a real node is not tested here: docs/testing.md.
#![allow(
    clippy::disallowed_methods,
    reason = "the scripts under test are programs"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const UNIT: &str = "etc/systemd/system/instore-apply.service";
const DROP_IN: &str = "etc/systemd/system/kubelet.service.d/10-instore.conf";
const DAEMON: &str = "etc/systemd/system/instore.service";
const DAEMON_ENABLED: &str = "etc/systemd/system/multi-user.target.wants/instore.service";
const ENABLED: &str = "etc/systemd/system/multi-user.target.wants/instore-apply.service";
const BINARY: &str = "usr/local/bin/instore";
const CONFIG: &str = "etc/instore/config.toml";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("agent/ has a parent")
        .to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|e| panic!("start {command:?}: {e}"))
}

fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The installer, staging into `root` the binary that was built for this test.
fn install(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .arg(repository().join("bootstrap/install.sh"))
        .arg("--root")
        .arg(root)
        .args(arguments);
    command
}

fn built() -> &'static str {
    env!("CARGO_BIN_EXE_instore")
}

/// Every file, link and directory below a root, with what is in it.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).expect("list") {
            let path = entry.expect("entry").path();
            let kind = path.symlink_metadata().expect("stat").file_type();
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_symlink() {
                let to = fs::read_link(&path).expect("link");
                found.push((path, to.into_os_string().into_encoded_bytes()));
            } else {
                found.push((path.clone(), fs::read(&path).expect("read")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn installs_once_and_changes_nothing_the_second_time() {
    let root = TempDir::new().expect("directory");
    let arguments = [
        "--binary",
        built(),
        "--consumer",
        "docker.service",
        "--",
        "--mount",
        "/data",
        "--fs",
        "ext4",
    ];
    let first = succeed(&mut install(root.path(), &arguments));
    assert!(
        first.contains("installed /usr/local/bin/instore"),
        "{first}"
    );
    for file in [
        UNIT,
        DAEMON,
        DROP_IN,
        BINARY,
        CONFIG,
        "etc/systemd/system/docker.service.d/10-instore.conf",
    ] {
        assert!(root.path().join(file).is_file(), "{file} is missing");
    }
    let link = fs::read_link(root.path().join(ENABLED)).expect("the unit is enabled");
    assert_eq!(link, Path::new("/").join(UNIT));
    let link = fs::read_link(root.path().join(DAEMON_ENABLED)).expect("so is the daemon");
    assert_eq!(link, Path::new("/").join(DAEMON));
    let config = fs::read_to_string(root.path().join(CONFIG)).expect("configuration");
    assert!(
        config.contains("ext4") && config.contains("/data"),
        "{config}"
    );

    let before = contents(root.path());
    let second = succeed(&mut install(root.path(), &arguments));
    assert_eq!(second, "install.sh: done\n");
    assert_eq!(before, contents(root.path()));
}

#[test]
fn a_run_without_configuration_keeps_the_one_that_is_there() {
    let root = TempDir::new().expect("directory");
    succeed(&mut install(
        root.path(),
        &["--binary", built(), "--", "--mount", "/fast"],
    ));
    let before = fs::read(root.path().join(CONFIG)).expect("configuration");
    succeed(&mut install(root.path(), &["--binary", built()]));
    assert_eq!(
        before,
        fs::read(root.path().join(CONFIG)).expect("configuration")
    );
}

#[test]
fn a_prefix_reaches_the_unit() {
    let root = TempDir::new().expect("directory");
    succeed(&mut install(
        root.path(),
        &["--binary", built(), "--prefix", "/opt/instore"],
    ));
    let unit = fs::read_to_string(root.path().join(UNIT)).expect("unit");
    assert!(
        unit.contains("ExecStart=/opt/instore/bin/instore apply --boot"),
        "{unit}"
    );
    assert!(root.path().join("opt/instore/bin/instore").is_file());
    verify(root.path(), "instore-apply.service");
    let daemon = fs::read_to_string(root.path().join(DAEMON)).expect("unit");
    assert!(
        daemon.contains("ExecStart=/opt/instore/bin/instore run"),
        "{daemon}"
    );
    verify(root.path(), "instore.service");
}

#[test]
fn without_the_daemon_only_the_boot_is_enabled() {
    let root = TempDir::new().expect("directory");
    succeed(&mut install(
        root.path(),
        &["--binary", built(), "--no-daemon"],
    ));
    assert!(root.path().join(ENABLED).is_symlink());
    assert!(!root.path().join(DAEMON_ENABLED).is_symlink());
}

#[test]
fn a_wrong_configuration_is_refused_before_anything_is_installed() {
    let root = TempDir::new().expect("directory");
    let output = run(&mut install(
        root.path(),
        &["--binary", built(), "--", "--fs", "zfs"],
    ));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let file = root.path().join("typo.toml");
    fs::write(&file, "mounts = \"/data\"\n").expect("write");
    let named = file.to_str().expect("UTF-8");
    let output = run(&mut install(
        root.path(),
        &["--binary", built(), "--config", named],
    ));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("mounts"),
        "{}",
        text(&output.stderr)
    );
    fs::remove_file(file).expect("remove");
    assert_eq!(contents(root.path()), []);
}

/// An archive as bootstrap/package.sh makes it, with its checksum next to it.
fn archive(dir: &Path) -> PathBuf {
    let name = "instore-0.0.0-test";
    let stage = dir.join(name);
    fs::create_dir_all(stage.join("man")).expect("directory");
    fs::write(stage.join("man/instore.1"), ".TH instore 1\n").expect("write");
    fs::copy(built(), stage.join("instore")).expect("copy");
    succeed(
        Command::new("cp")
            .arg("-R")
            .arg(repository().join("systemd"))
            .arg(&stage),
    );
    let file = dir.join("instore.tar.gz");
    succeed(
        Command::new("tar")
            .arg("-C")
            .arg(dir)
            .arg("-czf")
            .arg(&file)
            .arg(name),
    );
    let sum = succeed(
        Command::new("sha256sum")
            .current_dir(dir)
            .arg("instore.tar.gz"),
    );
    fs::write(dir.join("instore.tar.gz.sha256"), sum).expect("write");
    file
}

#[test]
fn an_archive_needs_its_checksum_and_the_right_one() {
    let dir = TempDir::new().expect("directory");
    let file = archive(dir.path());
    let named = file.to_str().expect("UTF-8");
    let sum_file = dir.path().join("instore.tar.gz.sha256");
    let right = fs::read_to_string(&sum_file).expect("checksum");

    let refused = |arguments: &[&str], why: &str| {
        let root = TempDir::new().expect("directory");
        let output = run(&mut install(root.path(), arguments));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(why), "{said}");
        assert_eq!(contents(root.path()), []);
    };
    let zeros = "0".repeat(64);
    refused(
        &["--archive", named, "--sha256", &zeros],
        "nothing was installed",
    );
    refused(&["--archive", named, "--sha256", "abc"], "is not a SHA-256");
    fs::write(&sum_file, format!("{zeros}  instore.tar.gz\n")).expect("write");
    refused(&["--archive", named], "nothing was installed");
    fs::remove_file(&sum_file).expect("remove");
    refused(&["--archive", named], "no checksum");

    let root = TempDir::new().expect("directory");
    let sum = right.split_whitespace().next().expect("a sum");
    succeed(&mut install(
        root.path(),
        &["--archive", named, "--sha256", sum],
    ));
    for file in [UNIT, DROP_IN, BINARY, "usr/local/share/man/man1/instore.1"] {
        assert!(root.path().join(file).is_file(), "{file} is missing");
    }
}

#[test]
fn a_local_binary_is_checked_when_a_checksum_is_at_hand() {
    let dir = TempDir::new().expect("directory");
    let file = dir.path().join("instore");
    fs::copy(built(), &file).expect("copy");
    fs::write(
        dir.path().join("instore.sha256"),
        format!("{}  instore\n", "f".repeat(64)),
    )
    .expect("write");
    let root = TempDir::new().expect("directory");
    let output = run(&mut install(
        root.path(),
        &["--binary", file.to_str().expect("UTF-8")],
    ));
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(contents(root.path()), []);
}

#[test]
fn uninstall_keeps_the_configuration_and_purge_does_not() {
    let root = TempDir::new().expect("directory");
    let foreign = root
        .path()
        .join("etc/systemd/system/kubelet.service.d/20-mine.conf");
    fs::create_dir_all(foreign.parent().expect("parent")).expect("directory");
    fs::write(&foreign, "[Unit]\n").expect("write");
    succeed(&mut install(
        root.path(),
        &["--binary", built(), "--", "--mount", "/data"],
    ));
    succeed(&mut install(root.path(), &["--uninstall"]));
    let left: Vec<PathBuf> = contents(root.path())
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(left, [root.path().join(CONFIG), foreign.clone()]);
    succeed(&mut install(root.path(), &["--uninstall", "--purge"]));
    let left: Vec<PathBuf> = contents(root.path())
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(left, [foreign]);
}

/// systemd-analyze has nothing to say about a unit in this root.
fn verify(root: &Path, unit: &str) {
    // What every unit with default dependencies hangs on: systemd's own.
    let units = root.join("usr/lib/systemd/system");
    fs::create_dir_all(&units).expect("directory");
    for target in [
        "sysinit.target",
        "basic.target",
        "shutdown.target",
        "system.slice",
    ] {
        fs::write(units.join(target), "[Unit]\nDefaultDependencies=no\n").expect("write");
    }
    let output = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(format!("--root={}", root.display()))
        .arg(root.join("etc/systemd/system").join(unit)));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "verify {unit}: {said}"
    );
}

#[test]
fn units_pass_systemd_analyze_verify_with_their_drop_ins() {
    let root = TempDir::new().expect("directory");
    succeed(&mut install(root.path(), &["--binary", built()]));
    verify(root.path(), "instore-apply.service");
    verify(root.path(), "instore.service");
    // Stand-ins for the units that wait: ordering cycles would show here.
    for unit in ["kubelet.service", "containerd.service"] {
        let file = root.path().join("etc/systemd/system").join(unit);
        fs::write(
            file,
            "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/usr/local/bin/instore\n",
        )
        .expect("write");
        verify(root.path(), unit);
    }
}

/// A private mount namespace would keep the pool from the host; a UUID, a device
/// or a mount unit would delay the boot that comes up with other disks.
#[test]
fn the_units_share_the_hosts_mounts_and_name_no_disk() {
    for name in ["instore-apply.service", "instore.service"] {
        shares_and_names_nothing(name);
    }
}

fn shares_and_names_nothing(name: &str) {
    let unit = fs::read_to_string(repository().join("systemd").join(name)).expect("unit");
    let lines: Vec<&str> = unit
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains('='))
        .collect();
    let private = "PrivateTmp PrivateDevices PrivateNetwork PrivateMounts PrivateUsers PrivateIPC \
        ProtectSystem ProtectHome ProtectKernelTunables ProtectKernelModules ProtectKernelLogs \
        ProtectControlGroups ProtectProc ProcSubset ReadOnlyPaths ReadWritePaths InaccessiblePaths \
        ExecPaths NoExecPaths BindPaths BindReadOnlyPaths TemporaryFileSystem MountFlags MountAPIVFS \
        RootDirectory RootImage DynamicUser RestrictSUIDSGID DeviceAllow DevicePolicy";
    for line in lines {
        let (key, value) = line.split_once('=').expect("key=value");
        assert!(!private.split_whitespace().any(|p| p == key), "{line}");
        for word in ["/dev/", "UUID", "nvme", ".mount", ".device"] {
            assert!(!value.contains(word), "{line}");
        }
    }
}

/// Prints every shell script of every recipe, each followed by a NUL.
const SCRIPTS: &str = r#"
import email, os, sys, yaml

def parts(mime):
    for part in email.message_from_string(mime).walk():
        kind = part.get_content_type()
        if kind == "text/x-shellscript":
            yield part.get_payload().lstrip()
        elif kind == "application/node.eks.aws":
            config = yaml.safe_load(part.get_payload())
            assert "localStorage" not in config["spec"].get("instance", {})

def scripts(root):
    for name in ("data-xfs", "containerd-ext4"):
        with open(f"{root}/eksctl/{name}.yaml") as f:
            cluster = yaml.safe_load(f)
        assert cluster["apiVersion"] == "eksctl.io/v1alpha5"
        for group in cluster["managedNodeGroups"]:
            assert group["amiFamily"] == "AmazonLinux2023"
            assert "launchTemplate" not in group
            yield from group["preBootstrapCommands"]
    with open(f"{root}/karpenter/ec2nodeclass.yaml") as f:
        classes = [d for d in yaml.safe_load_all(f) if d["kind"] == "EC2NodeClass"]
    for c in classes:
        assert "instanceStorePolicy" not in c["spec"]
        yield from parts(c["spec"]["userData"])
    with open(f"{root}/al2023/user-data.mime") as f:
        yield from parts(f.read())

for script in scripts(sys.argv[1]):
    sys.stdout.write(script + "\0")
"#;

#[test]
fn recipes_parse_and_their_flags_make_a_configuration() {
    let found = succeed(
        Command::new("python3")
            .args(["-c", SCRIPTS])
            .arg(repository().join("bootstrap")),
    );
    let scripts: Vec<&str> = found.split_terminator('\0').collect();
    assert_eq!(scripts.len(), 4, "{scripts:?}");
    for script in scripts {
        succeed(Command::new("bash").args(["-n", "-c", script]));
        assert!(
            script.contains("set -euo pipefail"),
            "cloud-init runs it without -e:\n{script}"
        );
        let line = script
            .lines()
            .find(|line| line.contains("install.sh\" "))
            .expect("a line that installs");
        let (_, flags) = line.split_once(" -- ").expect("flags after --");
        let shown = succeed(
            Command::new(built())
                .args(["--config", "/dev/null", "config", "show"])
                .args(flags.split_whitespace()),
        );
        let wanted = flags.split_whitespace().nth(1).expect("a directory");
        assert!(shown.contains(wanted), "{flags}: {shown}");
    }
}
