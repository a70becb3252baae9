//! Suites over the daemon's socket, with a script in the place of the program that measures: what
//! a client is told, what is served afterwards, and what becomes of a suite whose client is gone.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use instore::config::Listen;
use instore::daemon::bench::{Ask, Bencher};
use instore::daemon::state::{Counters, Pool, Shared, Snapshot};
use instore::daemon::wake::Waker;
use instore::daemon::{Request, client};
use instore::http::{self, Control, Handle, Server};
use instore::metrics::{Events, Metrics};
use instore::spawn::Argv;
use tempfile::TempDir;

/// Longer than anything here takes; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(60);
const DISK: &str = "AWS00000000000000001/1";

/// What the program prints that measures: 60 % of what an i4i.large promises.
const RESULT: &str = r#"{
  "target": "x", "file_system": "xfs", "length": "quick", "caching": "direct",
  "engine": "io_uring", "size_bytes": 1073741824, "started_unix_ms": 1800000000000,
  "ended_unix_ms": 1800000015000, "interrupted": false, "instance_type": "i4i.large",
  "verdict": ["random read: 60 %"], "warnings": [], "rows": [{"job": "rand-read-4k",
  "figures": {"ios": 45000, "bytes": 184320000, "runtime_ms": 1500.0, "iops": 30000.0,
  "bytes_per_second": 122880000.0, "latency_us": {"mean": 100.0, "p50": 90.0, "p99": 300.0,
  "p999": 900.0, "max": 1000.0}}, "error": null, "expected_iops": 50000.0,
  "expected_ratio": 0.6}]}"#;

struct Node {
    dir: TempDir,
    bencher: Arc<Bencher>,
    server: Handle,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.bencher.stop();
        self.server.stop();
    }
}

/// The servers of a node with one idle pool, and a loop that only knows suites.
fn node(script: &str) -> Node {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("suite.sh"), script).unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    let shared = Arc::new(Shared::new(SystemTime::now()));
    shared.set_snapshot(Snapshot {
        reconciled: Some(SystemTime::now()),
        pools: vec![Pool {
            label: "instore".into(),
            at: dir.path().join("data"),
            disks: vec![DISK.into()],
            mounted: true,
            uuid: "2b3c77d6-51d1-4a5d-8d0f-4b0c7a1c2f10".into(),
            ..Pool::default()
        }],
        ..Snapshot::default()
    });
    for _ in 0..2 {
        let idle = [(DISK.to_owned(), Counters::default())].into();
        shared.history().add(SystemTime::now(), 5.0, &idle);
    }
    let events = Arc::new(Events::new().unwrap());
    let program = Argv::new(&["sh", dir.path().join("suite.sh").to_str().unwrap()]);
    let bencher = Arc::new(Bencher::with(
        program,
        Arc::clone(&shared),
        Arc::clone(&events),
        Waker::of_nobody().unwrap(),
    ));
    let (requests, asked) = mpsc::channel();
    let of_loop = Arc::clone(&bencher);
    thread::spawn(move || {
        for request in asked {
            if let Request::Bench(ask, reply) = request {
                let _ = reply.send(of_loop.begin(&ask));
            }
        }
    });
    let server = http::start(Server {
        listen: Listen::At("127.0.0.1:0".parse().unwrap()),
        socket: dir.path().join("instore.sock"),
        metrics: Metrics::new(Arc::clone(&shared), events).unwrap(),
        shared,
        control: Control::new(requests, Waker::of_nobody().unwrap()),
    })
    .unwrap();
    Node {
        dir,
        bencher,
        server,
    }
}

impl Node {
    fn socket(&self) -> PathBuf {
        self.dir.path().join("instore.sock")
    }

    fn address(&self) -> SocketAddr {
        let mut answers = std::iter::repeat_with(|| {
            thread::yield_now();
            self.server.address()
        });
        answers.find_map(|address| address).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn wait_for(&self, path: &str, words: &str) {
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

    /// A request whose answer is left to the caller.
    fn post(&self, body: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST /v1/bench HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        stream
    }
}

fn measures() -> String {
    format!("echo 'rand-read-4k: 50 %' >&2\ncat <<'END'\n{RESULT}\nEND\n")
}

#[test]
fn a_suite_is_told_line_by_line_and_served_afterwards() {
    let node = node(&measures());
    assert!(node.get("/api/v1/bench").contains(r#""last":null"#));
    assert!(!node.get("/metrics").contains("instore_bench_iops"));
    let mut lines = Vec::new();
    let (code, result) = client::bench(&node.socket(), &Ask::default(), |line| {
        lines.push(line.to_owned());
    })
    .unwrap();
    assert_eq!((code, lines), (0, vec!["rand-read-4k: 50 %".to_owned()]));
    assert_eq!(result.unwrap().rows[0].expected_ratio, Some(0.6));
    let metrics = node.get("/metrics");
    for wanted in [
        r#"instore_bench_iops{job="rand-read-4k",pool="instore"} 30000"#,
        r#"instore_bench_expected_ratio{job="rand-read-4k",pool="instore"} 0.6"#,
        r#"instore_bench_latency_seconds{job="rand-read-4k",pool="instore",quantile="0.99"} 0.0003"#,
        r#"instore_bench_running{pool="instore"} 0"#,
        r#"instore_bench_timestamp_seconds{pool="instore"} 1800000015"#,
    ] {
        let mut lines = metrics.lines();
        let sorted = lines.any(|line| same_series(line, wanted));
        assert!(sorted, "no {wanted}: {metrics}");
    }
    let api = node.get("/api/v1/bench");
    assert!(
        api.contains(r#""ended_at":"2027-01-15T08:00:15Z""#),
        "{api}"
    );
    assert!(api.contains(r#""running":null"#), "{api}");
    let kept = node.dir.path().join("data/.instore/bench.json");
    assert!(
        std::fs::read_to_string(kept)
            .unwrap()
            .contains("rand-read-4k")
    );
}

/// Whatever the order of its labels.
fn same_series(line: &str, wanted: &str) -> bool {
    let parts = |line: &str| {
        let mut parts: Vec<String> = line
            .split(['{', '}', ','])
            .map(|part| part.trim().to_owned())
            .collect();
        parts.sort();
        parts
    };
    parts(line) == parts(wanted)
}

#[test]
fn a_second_one_is_refused_and_the_first_ends_with_its_client() {
    let node = node("echo on >&2\nexec sleep 1000\n");
    let first = node.post(r#"{"pool": "instore", "length": "quick"}"#);
    let mut answer = BufReader::new(&first);
    let mut line = String::new();
    while !line.contains(r#"{"line":"on"}"#) {
        line.clear();
        assert_ne!(answer.read_line(&mut line).unwrap(), 0, "no line came");
    }
    let refused = client::bench(&node.socket(), &Ask::default(), |_| {}).unwrap_err();
    let words = refused.to_string();
    assert!(
        words.contains("another suite runs: on pool instore"),
        "{words}"
    );
    let api = node.get("/api/v1/bench");
    assert!(api.contains(r#""suite":"quick""#) && api.contains(r#""by":"request""#));
    drop(first);
    node.wait_for("/api/v1/bench", r#""running":null"#);
    // It did as it was told.
    assert!(
        node.get("/metrics")
            .contains(r#"instore_errors_total{kind="bench"} 0"#)
    );
    assert!(!node.dir.path().join("data/.instore/bench").exists());
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let node = node("exit 1\n");
    for (body, status, words) in [
        ("{", "422", "cannot be read"),
        (r#"{"pol": "instore"}"#, "422", "pol"),
        (r#"{"length": "long"}"#, "422", "long"),
        (r#"{"pool": "other"}"#, "422", "there is no pool other"),
    ] {
        let mut answer = String::new();
        node.post(body).read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(words), "{answer}");
    }
    // What fails later is told at the end.
    let (code, result) = client::bench(&node.socket(), &Ask::default(), |_| {}).unwrap();
    assert_eq!((code, result), (1, None));
    assert!(
        node.get("/metrics")
            .contains(r#"instore_errors_total{kind="bench"} 1"#)
    );
}
