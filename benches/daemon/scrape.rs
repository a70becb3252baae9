//! Scrapes as Prometheus makes them: GET over HTTP/1.1, on a connection that is kept or on one of
//! its own, timed from the request (or the connect) to the last byte of the body.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// Room for a scrape, so that the client reads seldom.
const BUFFER_BYTES: usize = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// The one that is open already.
    Kept,
    /// Opened for this scrape, and closed after it.
    Fresh,
}

/// Where a program answers.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    kept: Option<BufReader<TcpStream>>,
    body: Vec<u8>,
}

impl Door {
    /// At a port that nobody listens at.
    pub(crate) fn free() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
        Ok(Self {
            address: listener.local_addr()?,
            kept: None,
            body: Vec::new(),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Status and text of any page, on a connection of its own.
    pub(crate) fn page(&mut self, path: &str) -> Result<(u16, String)> {
        let mut stream = self.connect()?;
        let status = ask(&mut stream, path, Connection::Fresh, &mut self.body)?;
        Ok((status, String::from_utf8_lossy(&self.body).into_owned()))
    }

    pub(crate) fn metrics(&mut self) -> Result<String> {
        let (status, text) = self.page("/metrics")?;
        ensure!(status == 200, "a scrape is answered with {status}: {text}");
        Ok(text)
    }

    /// How long a scrape takes.
    pub(crate) fn scrape(&mut self, connection: Connection) -> Result<Duration> {
        let kept = match connection {
            Connection::Kept => self.kept.take().filter(is_open),
            Connection::Fresh => None,
        };
        let begin = Instant::now();
        let mut stream = match kept {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let status = ask(&mut stream, "/metrics", connection, &mut self.body);
        let time = begin.elapsed();
        let status = status.with_context(|| format!("scrape {}", self.address))?;
        ensure!(status == 200, "a scrape is answered with {status}");
        if connection == Connection::Kept {
            self.kept = Some(stream);
        }
        Ok(time)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, stream))
    }
}

/// Whether the other side has closed it: a client looks before it uses one that was idle.
fn is_open(stream: &BufReader<TcpStream>) -> bool {
    let socket = stream.get_ref();
    let is_quiet = socket.set_nonblocking(true).is_ok()
        && matches!(socket.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    is_quiet && socket.set_nonblocking(false).is_ok()
}

/// Asks for a page, and reads all of it. Returns the status.
fn ask(
    stream: &mut BufReader<TcpStream>,
    path: &str,
    connection: Connection,
    body: &mut Vec<u8>,
) -> Result<u16> {
    let close = match connection {
        Connection::Kept => "",
        Connection::Fresh => "Connection: close\r\n",
    };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: text/plain\r\n{close}\r\n");
    stream.get_mut().write_all(request.as_bytes())?;
    let status = line(stream)?;
    let status = status.split(' ').nth(1).context("no status")?.parse()?;
    let (mut length, mut is_chunked) = (None, false);
    loop {
        let header = line(stream)?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = Some(value.trim().parse()?);
        }
        is_chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
    }
    body.clear();
    match length {
        Some(length) => read(stream, length, body)?,
        None if is_chunked => loop {
            let length = usize::from_str_radix(&line(stream)?, 16)?;
            read(stream, length, body)?;
            line(stream)?;
            if length == 0 {
                break;
            }
        },
        None => bail!("nothing says how long the answer is"),
    }
    Ok(status)
}

fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line)? > 0, "the connection ended");
    Ok(line.trim_end().to_owned())
}

fn read(stream: &mut BufReader<TcpStream>, length: usize, body: &mut Vec<u8>) -> Result<()> {
    let begin = body.len();
    body.resize(begin + length, 0);
    let wanted = body.get_mut(begin..).unwrap_or_default();
    Ok(stream.read_exact(wanted)?)
}

/// Times of many scrapes.
#[derive(Debug, Default)]
pub(crate) struct Scrapes(Vec<Duration>);

impl Scrapes {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Of so many hundredths of them, the slowest.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.0.clone();
        times.sort();
        let index = times.len() * percent / 100;
        times.get(index).copied().unwrap_or_default()
    }
}
