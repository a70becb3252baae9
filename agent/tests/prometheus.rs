//! A real Prometheus scrapes a node with a failed and a refused disk, and its rules say what they
//! should; promtool reads the scrape, and runs the rules' own tests.
#![cfg(feature = "prometheus-tests")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "daemon/node.rs"]
mod node;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Prometheus scrapes and evaluates once a second here; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(90);

#[expect(
    clippy::disallowed_methods,
    reason = "the test starts Prometheus; the ban is for the product"
)]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

fn bootstrap() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../bootstrap/prometheus"
    ))
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.unwrap_or_default().to_owned())
}

#[test]
fn promtool_reads_a_scrape_and_the_rules_pass_their_tests() {
    let served = node::serve();
    // The time of a scrape is told by the next one.
    get(served.address(), "/metrics").unwrap();
    let scrape = get(served.address(), "/metrics").unwrap();
    let mut promtool = command("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(scrape.as_bytes()).unwrap();
    drop(input);
    let out = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success() && words.is_empty(), "{words}");

    let out = command("bash")
        .arg(bootstrap().join("check.sh"))
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{words}");
}

struct Prometheus {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(target: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rules = bootstrap().join("rules.yaml").canonicalize().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: [{}]\n\
             scrape_configs:\n\
             - job_name: instore\n  static_configs: [{{targets: [\"{target}\"]}}]\n",
            rules.display()
        );
        let file = dir.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        // Prometheus takes no port 0; this one was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let child = command("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={free}"))
            .args(["--log.level=error"])
            .spawn()
            .unwrap();
        Self {
            child,
            address: free,
            _dir: dir,
        }
    }

    fn alerts(&self) -> BTreeSet<(String, String)> {
        let text = get(self.address, "/api/v1/alerts").unwrap_or_default();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        let alerts = answer["data"]["alerts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let label = |alert: &Value, name: &str| {
            alert["labels"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let one = |alert: &Value| (label(alert, "alertname"), label(alert, "severity"));
        alerts.iter().map(one).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_broken_disk_raises_its_alerts_and_no_others() {
    let served = node::serve();
    let prometheus = Prometheus::scraping(served.address());
    let alert = |name: &str, severity: &str| (name.to_owned(), severity.to_owned());
    let wanted = BTreeSet::from([
        alert("InstoreDiskGone", "critical"),
        alert("InstoreDiskRefused", "warning"),
    ]);
    let until = Instant::now() + PATIENCE;
    loop {
        let raised = prometheus.alerts();
        if wanted.is_subset(&raised) {
            // Pending or firing: those that wait are in the list too.
            assert_eq!(raised, wanted);
            return;
        }
        assert!(Instant::now() < until, "raised only: {raised:?}");
        thread::yield_now();
    }
}
