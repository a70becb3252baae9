//! The rig: starts QEMU guests with NVMe disks of chosen identity, hands them a script, watches what
//! it prints, pulls disks and cuts the power. What the scripts prove is in the scenario files.
//!
//! Host side of `guest/`: the payload is a tar on a virtio disk, the output is a file behind a virtio
//! port, and its last line is `RIG-EXIT code`. A line `@name value` is a fact for the host.
//!
//! Everything a guest leaves lives in a temporary directory under `target/vm`, and goes with it. The
//! QEMU process is killed by its id when its handle is dropped, also by a panic.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// No guest may take longer than this for one script, whatever happens.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// How often the output file is looked at.
const GLANCE: Duration = Duration::from_millis(10);
const MIB: u64 = 1 << 20;
/// Large enough for XFS, small enough to be zeroed in a moment.
const INSTANCE_DISK_BYTES: u64 = 1024 * MIB;
const EBS_DISK_BYTES: u64 = 512 * MIB;
/// The partition that build-image.sh makes.
const ROOT_PARTUUID: &str = "7d0c9a52-6f0e-4a3c-9a55-0d1f5a1b2c01";
/// What makes the emulated boot short; see the comments in build-image.sh for the user space half.
const KERNEL_SETTINGS: &str = "rootfstype=ext4 rw console=ttyS0 mitigations=off nokaslr nowatchdog \
    audit=0 lsm= 8250.nr_uarts=1 init_on_alloc=0 rcupdate.rcu_expedited=1 random.trust_cpu=on \
    tsc=reliable no_timer_check norandmaps quiet";

#[expect(
    clippy::disallowed_methods,
    reason = "the rig starts QEMU; the ban is for the product"
)]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// A node: its root disk, its data disks, and the payload for the next boot. The disks keep their
/// content from boot to boot.
#[derive(Debug)]
pub(crate) struct Node {
    dir: TempDir,
    image: PathBuf,
    instance_disks: usize,
    /// Held while the node exists: one guest at a time on this machine, in any process.
    _turn: File,
}

impl Node {
    /// A node with a root disk and a blank data disk that are EBS, and as many blank instance disks.
    pub(crate) fn new(instance_disks: usize) -> Self {
        let home = home();
        fs::create_dir_all(&home).unwrap();
        let turn = File::create(home.join("lock")).unwrap();
        turn.lock().unwrap();
        build_image(&home);
        let dir = tempfile::Builder::new()
            .prefix("node-")
            .tempdir_in(&home)
            .unwrap();
        let node = Self {
            dir,
            image: home,
            instance_disks,
            _turn: turn,
        };
        let copied = command("cp")
            .arg("--sparse=always")
            .arg(node.image.join("root.img"))
            .arg(node.path("root.img"))
            .status()
            .unwrap();
        assert!(copied.success(), "copy the root disk");
        blank(&node.path("ebs.img"), EBS_DISK_BYTES);
        node.blank_instance_disks();
        node
    }

    /// What a stop and start does: every instance disk comes back blank.
    pub(crate) fn blank_instance_disks(&self) {
        for index in 1..=self.instance_disks {
            blank(
                &self.path(&format!("instance-{index}.img")),
                INSTANCE_DISK_BYTES,
            );
        }
    }

    /// Takes all instance disks away, as on an instance type without any.
    pub(crate) fn remove_instance_disks(&mut self) {
        self.instance_disks = 0;
    }

    /// The blank EBS disk was never written to: not one block of its file exists.
    pub(crate) fn assert_ebs_untouched(&self) {
        let blocks = fs::metadata(self.path("ebs.img")).unwrap().blocks();
        assert_eq!(blocks, 0, "the EBS data disk was written to");
    }

    /// Nothing outside the root partition was written: the first and the last MiB are as built.
    pub(crate) fn assert_root_frame_untouched(&self) {
        use std::os::unix::fs::FileExt as _;
        let (built, now) = (self.image.join("root.img"), self.path("root.img"));
        let end = fs::metadata(&built).unwrap().len() - MIB;
        for offset in [0, end] {
            let [mut a, mut b] = [vec![0; 1 << 20], vec![0; 1 << 20]];
            File::open(&built)
                .unwrap()
                .read_exact_at(&mut a, offset)
                .unwrap();
            File::open(&now)
                .unwrap()
                .read_exact_at(&mut b, offset)
                .unwrap();
            assert!(
                a == b,
                "the root disk was written to outside its partition, at {offset}"
            );
        }
    }

    /// Boots the node and runs a script in it. `payload` are further files it finds beside it.
    pub(crate) fn boot(&self, script: &str, payload: &[&Path]) -> Guest {
        self.write_payload(script, payload);
        let output = self.path("output");
        let _ = fs::remove_file(&output);
        let mut qemu = command("qemu-system-x86_64");
        qemu.args([
            "-accel",
            "tcg,thread=multi,tb-size=512",
            "-cpu",
            "Nehalem,+rdrand",
        ])
        .args([
            "-smp",
            "2",
            "-m",
            "1024",
            "-machine",
            "pc",
            "-nodefaults",
            "-no-user-config",
        ])
        .args([
            "-display",
            "none",
            "-smbios",
            "type=1,manufacturer=Amazon EC2,product=m6id.large",
        ])
        .arg("-kernel")
        .arg(self.image.join("vmlinuz"))
        .arg("-append")
        .arg(format!("root=PARTUUID={ROOT_PARTUUID} {KERNEL_SETTINGS}"))
        .args([
            "-serial",
            &format!("file:{}", self.path("console").display()),
        ])
        .args([
            "-qmp",
            &format!("unix:{},server=on,wait=off", self.path("qmp").display()),
        ]);
        let mut drive = |id: &str, file: &str, rest: &str, device: String| {
            let file = self.path(file).display().to_string();
            qemu.arg("-drive")
                .arg(format!("if=none,format=raw,id={id},file={file},{rest}"));
            qemu.args(["-device", &device]);
        };
        let nvme =
            |id: &str, serial: &str| format!("nvme,drive={id},id={id}-device,serial={serial}");
        drive(
            "root",
            "root.img",
            "cache=unsafe",
            nvme("root", "vol0000000000000000a"),
        );
        drive(
            "ebs",
            "ebs.img",
            "cache=unsafe",
            nvme("ebs", "vol0000000000000000b"),
        );
        for index in 1..=self.instance_disks {
            let id = format!("instance-{index}");
            let rest = "cache=unsafe,discard=unmap,detect-zeroes=unmap";
            drive(&id, &format!("{id}.img"), rest, nvme(&id, &serial(index)));
        }
        let device = "virtio-blk-pci,drive=payload,serial=payload";
        drive("payload", "payload.tar", "readonly=on", device.to_owned());
        qemu.args([
            "-device",
            "virtio-serial-pci",
            "-device",
            "virtserialport,chardev=rig,name=rig",
        ])
        .args([
            "-chardev",
            &format!("file,id=rig,path={}", output.display()),
        ])
        .stdin(Stdio::null())
        // QEMU tells each error of a disk that a test makes fail.
        .stderr(File::create(self.path("qemu-errors")).unwrap());
        let process = qemu.spawn().expect("start qemu-system-x86_64");
        Guest {
            process,
            output,
            console: self.path("console"),
            qmp: self.path("qmp"),
        }
    }

    /// Boots, waits for the script's end, insists on success, and has the guest shut down in order.
    pub(crate) fn run(&self, script: &str, payload: &[&Path]) -> Report {
        let marker = self.path("then-power-off");
        fs::write(&marker, "").unwrap();
        let mut guest = self.boot(script, &[payload, &[marker.as_path()]].concat());
        let report = guest.finish().insist();
        guest.wait_for_power_off();
        report
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_payload(&self, script: &str, payload: &[&Path]) {
        let stage = self.path("payload");
        let _ = fs::remove_dir_all(&stage);
        fs::create_dir(&stage).unwrap();
        fs::write(stage.join("run.sh"), script).unwrap();
        for file in payload {
            fs::copy(file, stage.join(file.file_name().unwrap())).unwrap();
        }
        let tar = command("tar")
            .args(["--owner=0", "--group=0", "-C"])
            .arg(&stage)
            .arg("-cf")
            .arg(self.path("payload.tar"))
            .arg(".")
            .status()
            .unwrap();
        assert!(tar.success(), "pack the payload");
    }
}

/// A running guest.
#[derive(Debug)]
pub(crate) struct Guest {
    process: Child,
    output: PathBuf,
    console: PathBuf,
    qmp: PathBuf,
}

impl Guest {
    /// Waits until the script has printed this line, or its end when it did not.
    pub(crate) fn wait_for_line(&mut self, line: &str) {
        self.wait_until(|text| text.lines().any(|l| l.trim_end() == line), line);
    }

    /// Waits for the end of the script.
    pub(crate) fn finish(&mut self) -> Report {
        let text = self.wait_until(|text| exit_code(text).is_some(), "the end of the script");
        let code = exit_code(&text).unwrap();
        Report { code, text }
    }

    /// What the script has printed so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Cuts the power: QEMU is gone between two instructions of the guest.
    pub(crate) fn cut_power(mut self) -> String {
        self.stop();
        self.output()
    }

    /// Waits for the guest to shut itself down in order, after `Node::run`'s marker told it to.
    fn wait_for_power_off(mut self) {
        let until = Instant::now() + PATIENCE;
        while self.process.try_wait().unwrap().is_none() {
            assert!(
                Instant::now() < until,
                "the guest does not shut down\n{}",
                self.console()
            );
            sleep(GLANCE);
        }
    }

    /// Pulls the instance disk with this number out of the running guest.
    pub(crate) fn pull(&self, index: usize) {
        self.qmp(&json!({
            "execute": "device_del", "arguments": {"id": format!("instance-{index}-device")}
        }));
    }

    /// Adds a blank instance disk with this number to the running guest.
    pub(crate) fn add(&self, node: &Node, index: usize) {
        let id = format!("instance-{index}");
        let file = node.path(&format!("{id}.img"));
        blank(&file, INSTANCE_DISK_BYTES);
        self.qmp(&json!({
            "execute": "blockdev-add",
            "arguments": {
                "node-name": id, "driver": "raw", "discard": "unmap", "detect-zeroes": "unmap",
                "file": {"driver": "file", "filename": file},
            }
        }));
        self.qmp(&json!({
            "execute": "device_add",
            "arguments": {
                "driver": "nvme", "id": format!("{id}-device"), "drive": id,
                "serial": serial(index),
            }
        }));
    }

    fn wait_until(&mut self, done: impl Fn(&str) -> bool, what: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let text = self.output();
            if done(&text) {
                return text;
            }
            let dead = self.process.try_wait().unwrap().is_some();
            if dead || exit_code(&text).is_some() || Instant::now() > until {
                let state = if dead {
                    "the guest died"
                } else {
                    "it did not come"
                };
                panic!(
                    "waiting for {what}: {state}\n{text}\n--- console\n{}",
                    self.console()
                );
            }
            sleep(GLANCE);
        }
    }

    fn qmp(&self, order: &Value) {
        let mut socket = UnixStream::connect(&self.qmp).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
        // The greeting, then one answer for each order, with events in between.
        lines.next().unwrap().unwrap();
        for order in [&json!({"execute": "qmp_capabilities"}), order] {
            writeln!(socket, "{order}").unwrap();
            let answer = lines
                .by_ref()
                .map(Result::unwrap)
                .find(|l| !l.contains("\"event\""));
            let answer = answer.expect("QEMU hung up");
            assert!(answer.contains("\"return\""), "{order}: {answer}");
        }
    }

    fn console(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a script left: its exit code and everything it printed.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Report {
    /// Fails with the whole output unless the script ended with 0.
    pub(crate) fn insist(self) -> Self {
        assert_eq!(self.code, 0, "the script failed:\n{}", self.text);
        self
    }

    /// The value of the last line `@name value`.
    pub(crate) fn fact(&self, name: &str) -> &str {
        let found = self.text.lines().rev().find_map(|line| {
            line.strip_prefix('@')?
                .strip_prefix(name)?
                .strip_prefix(' ')
                .map(str::trim)
        });
        found.unwrap_or_else(|| panic!("the script did not tell {name}:\n{}", self.text))
    }

    /// The same as a number.
    pub(crate) fn number(&self, name: &str) -> f64 {
        self.fact(name).parse().unwrap()
    }
}

/// The serial of an instance disk, in the form that AWS uses.
pub(crate) fn serial(index: usize) -> String {
    format!("AWS{index:017X}")
}

fn exit_code(text: &str) -> Option<i32> {
    text.lines()
        .rev()
        .find_map(|l| l.strip_prefix("RIG-EXIT ")?.trim().parse().ok())
}

/// Makes a file of holes: nothing is stored, and a written block shows in the block count.
fn blank(path: &Path, bytes: u64) {
    let _ = fs::remove_file(path);
    File::create(path).unwrap().set_len(bytes).unwrap();
}

/// `target/vm`, wherever Cargo's target directory is.
fn home() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let profile = executable
        .ancestors()
        .find(|dir| dir.join(".fingerprint").is_dir());
    profile
        .and_then(Path::parent)
        .expect("run from Cargo's target directory")
        .join("vm")
}

fn build_image(home: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests/vm/build-image.sh");
    let built = command("bash")
        .arg(script)
        .arg(home)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(
        built.success(),
        "build the guest image (see its words above)"
    );
}
