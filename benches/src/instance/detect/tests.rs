use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use super::*;

/// Answers one connection after another with what it is given; what was asked.
struct Service {
    address: SocketAddr,
    thread: JoinHandle<Vec<String>>,
}

fn service(answers: Vec<Vec<u8>>) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            asked.push(String::from_utf8(request).unwrap());
            // Who asked may have gone away in the middle of it.
            let _ = stream.write_all(&answer);
        }
        asked
    });
    Service { address, thread }
}

fn ok(body: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: EC2ws\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Long enough that a busy machine answers in time.
const LONG: Duration = Duration::from_secs(60);

fn nowhere() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A tree with the firmware of an instance.
fn firmware_of(vendor: &str, product: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let dmi = root.path().join("sys/class/dmi/id");
    std::fs::create_dir_all(&dmi).unwrap();
    std::fs::write(dmi.join("sys_vendor"), format!("{vendor}\n")).unwrap();
    std::fs::write(dmi.join("product_name"), format!("{product}\n")).unwrap();
    root
}

/// Without firmware: what the service alone leads to, and what it was asked.
fn ask(answers: Vec<Vec<u8>>) -> (Detected, Vec<String>) {
    let service = service(answers);
    let root = nowhere();
    let places = Places {
        root: root.path(),
        metadata: service.address,
        patience: LONG,
    };
    (detect(None, &places), service.thread.join().unwrap())
}

fn reason(answers: Vec<Vec<u8>>) -> String {
    match ask(answers).0 {
        Detected::Unknown { reason } => reason,
        known => panic!("{known:?}"),
    }
}

/// An address of this machine where nobody answers.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn the_service_is_asked_with_a_token() {
    let (found, asked) = ask(vec![ok("AQAEAL=="), ok("i4i.4xlarge")]);
    assert_eq!(found, known("i4i.4xlarge".to_owned(), Origin::Metadata));
    assert!(asked[0].starts_with("PUT /latest/api/token HTTP/1.1\r\n"));
    assert!(asked[0].contains("\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n"));
    assert!(asked[1].starts_with("GET /latest/meta-data/instance-type HTTP/1.1\r\n"));
    assert!(asked[1].contains("\r\nX-aws-ec2-metadata-token: AQAEAL==\r\n"));
    assert!(asked.iter().all(|r| r.contains("\r\nHost: 127.0.0.1\r\n")));
}

#[test]
fn an_answer_may_end_with_the_connection() {
    let bare = |body: &str| format!("HTTP/1.0 200 OK\r\n\r\n{body}\n").into_bytes();
    let (found, _) = ask(vec![bare("token"), bare("i3.large")]);
    assert_eq!(found, known("i3.large".to_owned(), Origin::Metadata));
}

#[test]
fn a_refusal_is_named() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found"] {
        let refusal = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes();
        let words = format!("answers {}", &status[..3]);
        let first = reason(vec![refusal.clone()]);
        let second = reason(vec![ok("token"), refusal]);
        assert!(
            first.contains(&words) && second.contains(&words),
            "{first} / {second}"
        );
    }
}

#[test]
fn garbage_is_no_instance_type() {
    for (garbage, words) in [
        (b"".to_vec(), "does not answer in HTTP"),
        (
            b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(),
            "does not answer in HTTP",
        ),
        (b"HTTP/1.1 ".to_vec(), "does not answer in HTTP"),
        (
            b"HTTP/1.1 2000 what\r\n\r\n".to_vec(),
            "does not answer in HTTP",
        ),
        (vec![0xff; 100], "does not answer in HTTP"),
        (
            ok("<html>log in to the hotel</html>"),
            "an instance type that is none",
        ),
        (ok(""), "an instance type that is none"),
        (
            ok("x".repeat(4000).as_str()),
            "an instance type that is none",
        ),
    ] {
        let reason = reason(vec![ok("token"), garbage]);
        assert!(reason.contains(words), "{reason}");
        assert!(!reason.contains("hotel"));
    }
}

#[test]
fn a_token_cannot_add_lines_to_the_request() {
    let reason = reason(vec![ok("a\r\nX-Forwarded-For: b")]);
    assert!(reason.contains("a token that is none"), "{reason}");
}

#[test]
fn an_endless_answer_is_cut_off() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(1 << 20, b'a');
    let reason = reason(vec![endless]);
    assert!(reason.contains("more than it is asked for"), "{reason}");
}

/// As when the answer dies on its way into a container.
#[test]
fn silence_is_waited_for_only_so_long() {
    // It listens, so a connection is made; nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = nowhere();
    let places = Places {
        root: root.path(),
        metadata: silent.local_addr().unwrap(),
        patience: Duration::from_millis(50),
    };
    let Detected::Unknown { reason } = detect(None, &places) else {
        panic!("somebody answered")
    };
    assert!(reason.contains("hop limit"), "{reason}");
    assert!(reason.contains("--instance-type"), "{reason}");
}

#[test]
fn a_trickle_does_not_renew_the_patience() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let metadata = listener.local_addr().unwrap();
    let trickle = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Until the other side is gone: a byte at a time, as fast as it likes.
        let mut sent = 0_u64;
        while stream.write_all(b"H").is_ok() {
            sent += 1;
            thread::yield_now();
        }
        sent
    });
    let root = nowhere();
    let places = Places {
        root: root.path(),
        metadata,
        patience: Duration::from_millis(200),
    };
    // It ends, by the time or by the size, whichever is first.
    assert!(matches!(detect(None, &places), Detected::Unknown { .. }));
    assert!(trickle.join().unwrap() > 0);
}

#[test]
fn the_firmware_is_second() {
    let root = firmware_of("Amazon EC2", "r5d.24xlarge");
    let mut places = Places {
        root: root.path(),
        metadata: closed(),
        patience: LONG,
    };
    assert_eq!(
        detect(None, &places),
        known("r5d.24xlarge".to_owned(), Origin::Firmware)
    );
    let service = service(vec![ok("token"), ok("i3.large")]);
    places.metadata = service.address;
    assert_eq!(
        detect(None, &places),
        known("i3.large".to_owned(), Origin::Metadata)
    );
    service.thread.join().unwrap();
}

#[test]
fn other_firmware_says_nothing_of_a_type() {
    for (vendor, product, words) in [
        ("QEMU", "c5.large", "not that of EC2"),
        ("Amazon EC2", "HVM domU", "does not say its type"),
        ("Google", "Google Compute Engine", "not that of EC2"),
    ] {
        let root = firmware_of(vendor, product);
        let found = firmware(root.path());
        assert!(
            found.as_ref().is_err_and(|e| e.contains(words)),
            "{found:?}"
        );
    }
    assert!(firmware(nowhere().path()).is_err());
}

#[test]
fn what_was_said_is_not_asked() {
    // Any attempt to look would be a panic or an error: there is no such place.
    let places = Places {
        root: Path::new("/nonexistent"),
        metadata: closed(),
        patience: Duration::ZERO,
    };
    assert_eq!(
        detect(Some("i7ie.48xlarge"), &places),
        known("i7ie.48xlarge".to_owned(), Origin::Given)
    );
}

#[test]
fn types_have_a_shape() {
    for good in [
        "i4i.large",
        "p6e-gb200.36xlarge",
        "i3.metal",
        "c7gd.metal-48xl",
    ] {
        assert!(is_type(good), "{good}");
    }
    for bad in [
        "",
        "i4i",
        "i4i.",
        ".large",
        "I4i.large",
        "a.b.c",
        "a b.c",
        "HVM domU",
    ] {
        assert!(!is_type(bad), "{bad}");
    }
}
