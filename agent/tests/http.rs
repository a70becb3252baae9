//! The doors of the daemon against clients that are slow, greedy or hostile: the real binary, on
//! loopback, without root. Scrapes go on meanwhile.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "daemon/run.rs"]
mod run;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use run::Daemon;

fn daemon() -> Daemon {
    Daemon::start("", &[])
}

#[test]
fn a_thousand_slow_clients_do_not_keep_a_scrape_out() {
    let daemon = daemon();
    let mut slow = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        // Half a request, as far as the daemon still takes it.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ");
        slow.push(stream);
        if number % 100 == 99 {
            assert!(daemon.get("/metrics").contains("instore_ready"));
        }
    }
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"));
    // The first ones were turned away: their connections are over.
    slow[0]
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut rest = Vec::new();
    let end = slow[0].read_to_end(&mut rest);
    assert!(end.is_err() || rest.is_empty(), "{rest:?}");
    let open = daemon.open_files();
    assert!(open < 150, "{open} files are open");
}

#[test]
fn clients_that_never_read_cost_no_more() {
    let daemon = daemon();
    let mut deaf = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        for _ in 0..50 {
            // Answers pile up in the kernel and then nowhere.
            let _ = stream.write_all(b"GET /page.js HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        deaf.push(stream);
    }
    assert!(daemon.get("/metrics").contains("instore_ready"));
    let resident = daemon.resident_bytes();
    assert!(resident < 64 << 20, "{resident} bytes are resident");
}

#[test]
fn a_body_of_100_mb_is_refused_before_it_is_read() {
    let daemon = daemon();
    for (method, head) in [
        ("GET", "Content-Length: 104857600"),
        ("GET", "Transfer-Encoding: chunked"),
        ("POST", "Content-Length: 104857600"),
    ] {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        let request = format!("{method} /metrics HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let block = vec![b'x'; 1 << 20];
        let mut taken = 0;
        while taken < 100 && stream.write_all(&block).is_ok() {
            taken += 1;
        }
        assert!(taken < 100, "{method} {head}: the daemon took it all");
    }
    assert!(daemon.resident_bytes() < 64 << 20);
    assert!(daemon.get("/metrics").contains("instore_ready"));
}

#[test]
fn what_is_no_request_is_refused() {
    let daemon = daemon();
    for (request, wanted) in [
        (
            "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "405",
        ),
        (
            "DELETE /api/v1/disks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "405",
        ),
        (
            "GET /../../etc/shadow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "404",
        ),
        (
            "GET /%2e%2e/%2e%2e/etc/shadow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                .to_owned(),
            "404",
        ),
        (
            "GET //etc/shadow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "404",
        ),
        (
            "GET /v1/apply HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            "404",
        ),
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                "a".repeat(60_000)
            ),
            "4",
        ),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000)),
            "4",
        ),
        ("\0\u{1}\u{2}\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = daemon.send(request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with(wanted), "{:.60}: {answer:.100}", request);
        assert!(!answer.contains("root:"));
    }
    assert!(daemon.get("/metrics").contains("instore_ready"));
}

#[test]
fn every_route_of_the_description_answers_and_the_page_is_fenced() {
    let daemon = daemon();
    let description: serde_json::Value =
        serde_json::from_str(daemon.body("/api/v1/openapi.json").as_str()).unwrap();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 9, "{:?}", paths.keys());
    for path in paths.keys() {
        let answer = daemon.get(path);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer:.200}");
        if path.starts_with("/api/") {
            let body = daemon.body(path);
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }
    for file in ["/", "/page.css", "/page.js"] {
        let answer = daemon.get(file);
        assert!(answer.starts_with("HTTP/1.1 200"), "{file}");
        assert!(answer.contains("content-security-policy: default-src 'none'"));
        assert!(answer.contains("x-content-type-options: nosniff"));
    }
}

#[test]
fn the_socket_is_for_root_and_says_so() {
    let daemon = daemon();
    let answer = daemon.ask("GET /v1/status");
    assert!(answer.contains("\"ready\":true"), "{answer}");
    let answer = daemon.ask("POST /v1/reload");
    assert!(answer.contains("read again"), "{answer}");
    let answer = daemon.ask("POST /v1/bench");
    assert!(
        answer.starts_with("HTTP/1.1 422") && answer.contains("no pool"),
        "{answer}"
    );
    // Reading acts on nothing, acting is no reading.
    assert!(daemon.ask("GET /v1/apply").starts_with("HTTP/1.1 405"));
    assert!(daemon.ask("GET /v1/bench").starts_with("HTTP/1.1 405"));
    assert!(!daemon.get("/v1/status").starts_with("HTTP/1.1 200"));
    // Slow clients at this door are no more welcome.
    let mut slow: Vec<_> = (0..100)
        .map(|_| UnixStream::connect(daemon.socket()).unwrap())
        .collect();
    for stream in &mut slow {
        stream.write_all(b"GET /v1").unwrap();
    }
    assert!(daemon.ask("GET /v1/status").contains("\"ready\":true"));
}

#[test]
fn a_configuration_that_is_refused_leaves_the_old_one_in_force() {
    let daemon = daemon();
    daemon.configure("muont = \"/x\"\n");
    let answer = daemon.ask("POST /v1/reload");
    assert!(
        answer.starts_with("HTTP/1.1 422") && answer.contains("muont"),
        "{answer}"
    );
    daemon.wait_for("/api/v1/conditions", "ConfigRefused");
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"));
    daemon.configure("");
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait_for("/metrics", "instore_reloads_total{result=\"success\"} 1");
    assert!(daemon.ask("POST /v1/reload").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_second_daemon_is_refused_and_a_killed_one_leaves_nothing_in_the_way() {
    let mut daemon = daemon();
    let second = daemon.second();
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains("another instore"), "{words}");
    daemon.kill();
    daemon.start_again();
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_stop_ends_requests_and_the_process_in_time() {
    let mut daemon = daemon();
    let mut half = TcpStream::connect(daemon.address()).unwrap();
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let status = daemon.stop();
    assert!(status.success(), "{status}");
    assert!(!daemon.socket().exists(), "the socket was left");
    assert!(TcpStream::connect(daemon.address()).is_err());
}
