//! URLs taken apart and put together, as Go's net/url does it.

use super::convert::kind;
use super::{Entry, NIL_DEREFERENCE};
use crate::error::Failure;
use crate::quote::quote;
use crate::value::{Map, Value};
use std::net::Ipv6Addr;

pub(super) const TABLE: &[Entry] = &[
    (&["urlParse"], "func(string) map[string]interface {}", |_, arguments| {
        let url = Url::parse(arguments.text(0)?)
            .map_err(|why| Failure::new([b"unable to parse url: ", &why[..]].concat()))?;
        let userinfo = url.user.as_ref().map_or_else(Vec::new, User::written);
        Ok(Value::map([
            ("scheme", url.scheme.into()),
            ("hostname", hostname(&url.host).to_vec().into()),
            ("host", url.host.into()),
            ("path", url.path.into()),
            ("query", url.query.into()),
            ("opaque", url.opaque.into()),
            ("fragment", url.fragment.into()),
            ("userinfo", userinfo.into()),
        ]))
    }),
    (&["urlJoin"], "func(map[string]interface {}) string", |_, arguments| {
        let map = arguments.map(0)?;
        let mut url = Url {
            scheme: entry(map, "scheme")?,
            host: entry(map, "host")?,
            path: entry(map, "path")?,
            query: entry(map, "query")?,
            opaque: entry(map, "opaque")?,
            fragment: entry(map, "fragment")?,
            user: None,
        };
        let userinfo = entry(map, "userinfo")?;
        if !userinfo.is_empty() {
            let parsed = Url::parse(&[b"proto://", &userinfo[..], b"@host"].concat());
            let refused =
                |why: Vec<u8>| Failure::new([b"unable to parse userinfo in dict: ", &why[..]].concat());
            url.user = parsed.map_err(refused)?.user;
        }
        Ok(url.written().into())
    }),
];

fn entry(map: &Map, key: &str) -> Result<Vec<u8>, Failure> {
    match map.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::Text(text)) => Ok(text.to_vec()),
        Some(Value::Nil) => Err(NIL_DEREFERENCE.into()),
        Some(other) => {
            let kind = kind(&other);
            Err(format!("unable to parse {key} key, must be of type string, but {kind} found").into())
        }
    }
}

#[derive(Debug, Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    user: Option<User>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    fragment: Vec<u8>,
}

#[derive(Debug)]
struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

impl User {
    fn written(&self) -> Vec<u8> {
        let name = escaped(&self.name, Part::User);
        match &self.password {
            Some(password) => [&name[..], b":", &escaped(password, Part::User)].concat(),
            None => name,
        }
    }
}

/// Where in a URL a text stands: other bytes stand for themselves there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Zone,
    Fragment,
}

fn stands_for_itself(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return true;
    }
    let more: &[u8] = match part {
        Part::Path => b"$&+,/:;=@",
        Part::User => b"$&+,;=",
        Part::Host | Part::Zone => b"!$&'()*+,;=:[]<>\"",
        Part::Fragment => b"$&+,/:;=?@!()*",
    };
    more.contains(&byte)
}

fn escaped(text: &[u8], part: Part) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if stands_for_itself(byte, part) {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

fn cited(before: &str, text: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), &quote(text), after.as_bytes()].concat()
}

fn unescaped(text: &[u8], part: Part) -> Result<Vec<u8>, Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let hosts = matches!(part, Part::Host | Part::Zone);
    while let Some(&byte) = text.get(at) {
        if byte != b'%' {
            if hosts && byte.is_ascii() && !stands_for_itself(byte, part) {
                return Err(cited("invalid character ", &[byte], " in host name"));
            }
            out.push(byte);
            at += 1;
            continue;
        }
        let escape = &text[at..text.len().min(at + 3)];
        let digit = |index: usize| escape.get(index).and_then(|&byte| char::from(byte).to_digit(16));
        let value = digit(1).zip(digit(2)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        let allowed = |value: &u8| match part {
            Part::Host => !value.is_ascii() || escape == b"%25",
            Part::Zone => escape == b"%25" || *value == b' ' || stands_for_itself(*value, Part::Host),
            Part::Path | Part::User | Part::Fragment => true,
        };
        let Some(value) = value.filter(allowed) else { return Err(cited("invalid URL escape ", escape, "")) };
        out.push(value);
        at += 3;
    }
    Ok(out)
}

fn cut(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

impl Url {
    /// The error is that of Go's `url.Error`.
    fn parse(text: &[u8]) -> Result<Self, Vec<u8>> {
        let (before, fragment) = cut(text, b'#');
        let refused = |whole: &[u8], why: &[u8]| [b"parse ", &quote(whole)[..], b": ", why].concat();
        let mut url = Self::without_fragment(before).map_err(|why| refused(before, &why))?;
        if let Some(fragment) = fragment {
            url.fragment = unescaped(fragment, Part::Fragment).map_err(|why| refused(text, &why))?;
        }
        Ok(url)
    }

    fn without_fragment(text: &[u8]) -> Result<Self, Vec<u8>> {
        if text.iter().any(|&byte| byte < b' ' || byte == 0x7f) {
            return Err(b"net/url: invalid control character in URL".to_vec());
        }
        let mut url = Self::default();
        if text == b"*" {
            url.path = text.to_vec();
            return Ok(url);
        }
        let (scheme, rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = cut(rest, b'?');
        url.query = query.unwrap_or_default().to_vec();
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Ok(url);
            }
            if cut(rest, b'/').0.contains(&b':') {
                return Err(b"first path segment in URL cannot contain colon".to_vec());
            }
        }
        if let Some(inside) = rest.strip_prefix(b"//")
            && (!url.scheme.is_empty() || !rest.starts_with(b"///"))
        {
            let end = inside.iter().position(|&byte| byte == b'/').unwrap_or(inside.len());
            rest = &inside[end..];
            url.authority(&inside[..end])?;
        }
        url.path = unescaped(rest, Part::Path)?;
        Ok(url)
    }

    fn authority(&mut self, authority: &[u8]) -> Result<(), Vec<u8>> {
        let at = authority.iter().rposition(|&byte| byte == b'@');
        self.host = host(&self.scheme, &authority[at.map_or(0, |at| at + 1)..])?;
        let Some(at) = at else { return Ok(()) };
        let userinfo = &authority[..at];
        if !userinfo.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
        {
            return Err(b"net/url: invalid userinfo".to_vec());
        }
        let (name, password) = cut(userinfo, b':');
        let name = unescaped(name, Part::User)?;
        let password = password.map(|password| unescaped(password, Part::User)).transpose()?;
        self.user = Some(User { name, password });
        Ok(())
    }

    fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.scheme.is_empty() {
            out.extend_from_slice(&self.scheme);
            out.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_hierarchy(&mut out);
        } else {
            out.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push(b'#');
            out.extend_from_slice(&escaped(&self.fragment, Part::Fragment));
        }
        out
    }

    fn write_hierarchy(&self, out: &mut Vec<u8>) {
        let authority = !self.host.is_empty() || self.user.is_some();
        if authority || !self.scheme.is_empty() && !self.path.is_empty() {
            out.extend_from_slice(b"//");
        }
        if let Some(user) = &self.user {
            out.extend_from_slice(&user.written());
            out.push(b'@');
        }
        out.extend_from_slice(&escaped(&self.host, Part::Host));
        let path = if self.path == b"*" { self.path.clone() } else { escaped(&self.path, Part::Path) };
        if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
            out.push(b'/');
        }
        if out.is_empty() && cut(&path, b'/').0.contains(&b':') {
            out.extend_from_slice(b"./");
        }
        out.extend_from_slice(&path);
    }
}

/// The scheme before a colon, and what follows it.
fn scheme(text: &[u8]) -> Result<(&[u8], &[u8]), Vec<u8>> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err(b"missing protocol scheme".to_vec()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok((b"", text))
}

fn is_port(text: &[u8]) -> bool {
    text.split_first().is_none_or(|(&colon, digits)| colon == b':' && digits.iter().all(u8::is_ascii_digit))
}

fn checked_port(text: &[u8]) -> Result<(), Vec<u8>> {
    if is_port(text) { Ok(()) } else { Err(cited("invalid port ", text, " after host")) }
}

fn host(scheme: &[u8], text: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    match text.iter().rposition(|&byte| byte == b'[') {
        Some(0) => return bracketed(text),
        Some(_) => return Err(b"invalid IP-literal".to_vec()),
        None => {}
    }
    let first = text.iter().position(|&byte| byte == b':');
    let colon = if scheme == b"http" || scheme == b"https" {
        first
    } else {
        text.iter().rposition(|&byte| byte == b':')
    };
    checked_port(&text[colon.unwrap_or(text.len())..])?;
    unescaped(text, Part::Host)
}

/// An IPv6 address, perhaps with a zone and a port.
fn bracketed(text: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let Some(close) = text.iter().rposition(|&byte| byte == b']') else {
        return Err(b"missing ']' in host".to_vec());
    };
    let (address, port) = (&text[1..close], &text[close + 1..]);
    checked_port(port)?;
    let zone = memchr::memmem::find(address, b"%25").unwrap_or(address.len());
    let plain = unescaped(&address[..zone], Part::Host)?;
    let name = [&plain[..], &unescaped(&address[zone..], Part::Zone)?].concat();
    let is_address = String::from_utf8_lossy(&plain).parse::<Ipv6Addr>().is_ok();
    if !is_address {
        return Err(cited("invalid host: ParseAddr(", &name, "): unable to parse IP"));
    }
    Ok([b"[", &name[..], b"]", port].concat())
}

fn hostname(host: &[u8]) -> &[u8] {
    let colon = host.iter().rposition(|&byte| byte == b':').filter(|&colon| is_port(&host[colon..]));
    let name = &host[..colon.unwrap_or(host.len())];
    name.strip_prefix(b"[").and_then(|inside| inside.strip_suffix(b"]")).unwrap_or(name)
}
