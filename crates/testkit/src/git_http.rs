//! As much of HTTP/1.1 and CGI (RFC 3875) as lies between a Git client and `git http-backend`.
//!
//! Absent: keep-alive (each answer closes its connection) and streaming (an answer is whole before it is sent).

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};

/// More than any test sends in one request.
const LARGEST_BODY: u64 = 256 * 1024 * 1024;

/// A request, read to its end.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Incoming {
    /// Reads one request; `None` where the other side said nothing at all.
    pub(crate) fn read(stream: &mut (impl Read + Write)) -> Result<Option<Self>> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            bail!("not a request line: {line:?}");
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        let headers = read_headers(&mut reader)?;
        let mut request = Self { method, path, query, headers, body: Vec::new() };
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.body = request.read_body(&mut reader)?;
        Ok(Some(request))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn read_body(&self, reader: &mut impl BufRead) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            loop {
                let mut line = String::new();
                reader.read_line(&mut line)?;
                let size = line.trim().split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size, 16).with_context(|| format!("not a chunk: {line:?}"))?;
                if size == 0 {
                    read_headers(reader)?;
                    return Ok(body);
                }
                read_exactly(reader, size, &mut body)?;
                reader.read_line(&mut String::new())?;
            }
        }
        let length = self.header("content-length").map_or(Ok(0), str::parse)?;
        read_exactly(reader, length, &mut body)?;
        Ok(body)
    }
}

impl Outgoing {
    pub(crate) fn text(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    /// A file below `root`, unless the client has it already.
    pub(crate) fn of_file(root: &Path, request: &Incoming) -> Result<Self> {
        let place = root.join(request.path.trim_start_matches('/'));
        let inside = !request.path.split('/').any(|part| part == "..");
        let Some(body) = std::fs::read(&place).ok().filter(|_| inside) else {
            return Ok(Self::text(404, &[], "there is none\n"));
        };
        let written = std::fs::metadata(&place)?.modified()?.duration_since(std::time::UNIX_EPOCH)?;
        let tag = format!("\"{}-{}\"", body.len(), written.as_nanos());
        if request.header("if-none-match") == Some(tag.as_str()) {
            return Ok(Self::text(304, &[("ETag", &tag)], ""));
        }
        Ok(Self { body, ..Self::text(200, &[("ETag", &tag)], "") })
    }

    /// What git's own CGI program answers for the repositories below `root`.
    pub(crate) fn of_git(root: &Path, request: &Incoming) -> Result<Self> {
        let mut command = Command::new("git");
        command
            .arg("http-backend")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_PROJECT_ROOT", root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", &request.path)
            .env("QUERY_STRING", &request.query)
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .env("REMOTE_ADDR", "127.0.0.1")
            .env("REMOTE_USER", "testkit");
        let passed = [
            ("content-type", "CONTENT_TYPE"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("git-protocol", "GIT_PROTOCOL"),
        ];
        for (header, variable) in passed {
            if let Some(value) = request.header(header) {
                command.env(variable, value);
            }
        }
        let answer = answer_of(command, &request.body)?;
        Self::from_cgi(&answer)
    }

    fn from_cgi(bytes: &[u8]) -> Result<Self> {
        let mut reader = bytes;
        let mut headers = read_headers(&mut reader)?;
        let mut status = 200;
        if let Some(at) = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("status")) {
            let (_, text) = headers.remove(at);
            status = text
                .split(' ')
                .next()
                .unwrap_or_default()
                .parse()
                .with_context(|| format!("status {text:?}"))?;
        }
        Ok(Self { status, headers, body: reader.to_vec() })
    }

    pub(crate) fn write(&self, stream: &mut impl Write) -> Result<()> {
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let length = self.body.len().to_string();
        head.extend(["Content-Length: ", &length, "\r\nConnection: close\r\n\r\n"]);
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body)?;
        stream.flush()?;
        Ok(())
    }
}

/// Feeds a program and reads it at the same time: git answers before it has read all.
fn answer_of(mut command: Command, body: &[u8]) -> Result<Vec<u8>> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run git http-backend")?;
    let mut input = child.stdin.take().context("no pipe to git")?;
    let output = thread::scope(|scope| {
        // git may close its input early, as when it refuses a request; its answer says why.
        scope.spawn(move || input.write_all(body));
        child.wait_with_output()
    })?;
    Ok(output.stdout)
}

fn read_headers(reader: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line:?}"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_exactly(reader: &mut impl BufRead, size: u64, into: &mut Vec<u8>) -> Result<()> {
    if size > LARGEST_BODY {
        bail!("a body of {size} bytes");
    }
    let read = reader.take(size).read_to_end(into)?;
    if read as u64 != size {
        bail!("a body ended after {read} of {size} bytes");
    }
    Ok(())
}
