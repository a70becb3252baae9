//! Which instance type this machine is: as it was said, else by the metadata service
//! of EC2 (version 2, with a token), else by what the firmware says. Nothing else
//! is asked, nobody is waited for longer than [`PATIENCE`], and no answer is trusted
//! to be one. The machine needs no network, and finding nothing is no error.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

/// The metadata service, on every instance.
pub const METADATA: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

/// For both requests together. The service is on the same host and answers within
/// milliseconds; where there is none, this is lost.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Where it is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// `/`, in which /sys/class/dmi is.
    pub root: &'a Path,
    pub metadata: SocketAddr,
    pub patience: Duration,
}

impl Default for Places<'_> {
    fn default() -> Self {
        Self {
            root: Path::new("/"),
            metadata: METADATA,
            patience: PATIENCE,
        }
    }
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Detected {
    Known {
        name: String,
        origin: Origin,
    },
    /// Everything that was tried, and what came of it.
    Unknown {
        reason: String,
    },
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The user.
    Given,
    Metadata,
    Firmware,
}

/// Finds out the instance type.
#[must_use]
pub fn detect(given: Option<&str>, places: &Places<'_>) -> Detected {
    if let Some(name) = given {
        return known(name.to_owned(), Origin::Given);
    }
    let unanswered = match metadata(places.metadata, places.patience) {
        Ok(name) => return known(name, Origin::Metadata),
        Err(reason) => format!("the metadata service at {} {reason}", places.metadata),
    };
    match firmware(places.root) {
        Ok(name) => known(name, Origin::Firmware),
        Err(reason) => Detected::Unknown {
            reason: format!("{unanswered}; {reason}; say it with --instance-type"),
        },
    }
}

fn known(name: String, origin: Origin) -> Detected {
    Detected::Known { name, origin }
}

/// Whether it has the shape of a type: "i4i.large", "p6e-gb200.36xlarge".
pub(super) fn is_type(text: &str) -> bool {
    /// The longest there are have some twenty characters.
    const LONGEST: usize = 40;
    let is_word = |word: &str| {
        let mut bytes = word.bytes();
        !word.is_empty() && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let parts = text.split_once('.');
    text.len() <= LONGEST && parts.is_some_and(|(family, size)| is_word(family) && is_word(size))
}

/// On Nitro the product is the type.
fn firmware(root: &Path) -> Result<String, String> {
    let attribute = |name: &str| -> Option<String> {
        /// No attribute of DMI is longer than a page.
        const PAGE: u64 = 4096;
        let path = root.join("sys/class/dmi/id").join(name);
        let mut text = String::new();
        let mut file = File::open(path).ok()?.take(PAGE);
        file.read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned())
    };
    let vendors = ["sys_vendor", "bios_vendor"].map(attribute);
    if !vendors
        .iter()
        .flatten()
        .any(|vendor| vendor == "Amazon EC2")
    {
        return Err("the firmware is not that of EC2".to_owned());
    }
    match attribute("product_name") {
        Some(name) if is_type(&name) => Ok(name),
        _ => Err("the firmware of this EC2 instance does not say its type".to_owned()),
    }
}

/// Asks for a token, then for the type. The error says what the service did.
fn metadata(address: SocketAddr, patience: Duration) -> Result<String, String> {
    let end = Instant::now() + patience;
    let token = request(
        address,
        end,
        "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n",
    )?;
    // It becomes a line of the next request.
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("gives a token that is none".to_owned());
    }
    let head = format!(
        "GET /latest/meta-data/instance-type HTTP/1.1\r\nX-aws-ec2-metadata-token: {token}\r\n"
    );
    match request(address, end, &head)? {
        name if is_type(&name) => Ok(name),
        _ => Err("gives an instance type that is none".to_owned()),
    }
}

/// One request on a connection of its own; the body of a "200 OK".
fn request(address: SocketAddr, end: Instant, head: &str) -> Result<String, String> {
    let answer = exchange(address, end, head).map_err(|error| match error.kind() {
        // An answer with a hop limit of 1 does not reach a container.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            "does not answer in time (in a container: the hop limit may be 1)".to_owned()
        }
        io::ErrorKind::InvalidData => error.to_string(),
        _ => format!("cannot be asked: {error}"),
    })?;
    let garbled = || "does not answer in HTTP".to_owned();
    let answer = String::from_utf8(answer).map_err(|_| garbled())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(garbled)?;
    let status = head.split(' ').nth(1).ok_or_else(garbled)?;
    match status {
        _ if !head.starts_with("HTTP/1.") => Err(garbled()),
        "200" => Ok(body.trim().to_owned()),
        status if status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("answers {status}"))
        }
        _ => Err(garbled()),
    }
}

/// Everything that comes until the connection or the body ends.
fn exchange(address: SocketAddr, end: Instant, head: &str) -> io::Result<Vec<u8>> {
    /// A token has some 60 bytes, headers some hundreds.
    const LONGEST: usize = 8192;
    let mut stream = TcpStream::connect_timeout(&address, left(end)?)?;
    stream.set_write_timeout(Some(left(end)?))?;
    let request = format!("{head}Host: {}\r\nConnection: close\r\n\r\n", address.ip());
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !is_complete(&answer) {
        if answer.len() > LONGEST {
            let words = "answers with more than it is asked for";
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        // Anew each time: one byte a second must not take for ever.
        stream.set_read_timeout(Some(left(end)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// Whether the length that the answer names is there: it need not close.
fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths
        .next()
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= head.len().saturating_add(4).saturating_add(length))
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}

#[cfg(test)]
mod tests;
