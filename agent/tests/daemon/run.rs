//! A daemon for tests: the real binary with files of its own, and ways to talk to it. It is killed
//! when it is dropped.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Longer than anything here takes; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Daemon {
    dir: TempDir,
    variables: Vec<(String, String)>,
    child: Child,
    address: String,
}

impl Daemon {
    /// Starts one with this configuration, which listens at a port of its own, and waits until it
    /// has looked at the node.
    pub(crate) fn start(config: &str, variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let (child, address) = launch(dir.path(), &variables);
        let daemon = Self {
            dir,
            variables,
            child,
            address,
        };
        daemon.wait_for("/healthz", "ok");
        daemon.wait_for("/metrics", "instore_last_reconcile");
        daemon
    }

    pub(crate) fn start_again(&mut self) {
        (self.child, self.address) = launch(self.dir.path(), &self.variables);
        self.wait_for("/metrics", "instore_last_reconcile");
    }

    /// What becomes of another one with the same socket.
    pub(crate) fn second(&self) -> Output {
        command(self.dir.path(), &self.variables).output().unwrap()
    }

    pub(crate) fn configure(&self, config: &str) {
        std::fs::write(self.dir.path().join("config.toml"), config).unwrap();
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("instore.sock")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.child.wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// The whole answer, with its head.
    pub(crate) fn get(&self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    }

    pub(crate) fn body(&self, path: &str) -> String {
        let answer = self.get(path);
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub(crate) fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.write_all(request);
        read(&mut stream)
    }

    /// The answer at the unix socket.
    pub(crate) fn ask(&self, what: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        read(&mut stream)
    }

    /// Asks until the answer has these words.
    pub(crate) fn wait_for(&self, path: &str, words: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path);
            if answer.contains(words) {
                return;
            }
            assert!(Instant::now() < until, "no {words} at {path}: {answer}");
            thread::yield_now();
        }
    }

    pub(crate) fn open_files(&self) -> usize {
        let list = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        list.unwrap().count()
    }

    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib: u64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
        kib * 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the other side sent before it ended, in whatever way.
fn read(stream: &mut impl std::io::Read) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test starts the product; the ban is for the product"
)]
fn command(dir: &Path, variables: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_instore"));
    command
        .args(["run", "--listen", "127.0.0.1:0", "--config"])
        .arg(dir.join("config.toml"))
        .arg("--socket")
        .arg(dir.join("instore.sock"))
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Starts it and reads where it listens.
fn launch(dir: &Path, variables: &[(String, String)]) -> (Child, String) {
    let mut child = command(dir, variables).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.by_ref().map(Result::unwrap).find_map(|line| {
        let (_, rest) = line.split_once("listening at http://")?;
        Some(rest.trim_end_matches('/').to_owned())
    });
    // Read on, so that it never waits for somebody to read its log.
    thread::spawn(move || lines.for_each(drop));
    (child, address.expect("the daemon does not listen"))
}
