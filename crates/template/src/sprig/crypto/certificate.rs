//! Certificates as Go's crypto/x509 makes them of Sprig's templates.

use super::der::{self, Reader};
use super::keys::{KNOWN, Key};
use super::pem;
use crate::context::Context;
use crate::error::Failure;
use crate::function::{Arguments, Function};
use crate::quote::quote;
use crate::text::Text;
use crate::value::{Object, Value};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::any::Any;
use std::net::IpAddr;
use std::rc::Rc;

// Object identifiers, in DER.
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
const KEY_USAGE: &[u8] = b"\x06\x03\x55\x1d\x0f";
const EXTENDED_KEY_USAGE: &[u8] = b"\x06\x03\x55\x1d\x25";
const BASIC_CONSTRAINTS: &[u8] = b"\x06\x03\x55\x1d\x13";
const SUBJECT_KEY: &[u8] = b"\x06\x03\x55\x1d\x0e";
const AUTHORITY_KEY: &[u8] = b"\x06\x03\x55\x1d\x23";
const ALTERNATIVE_NAMES: &[u8] = b"\x06\x03\x55\x1d\x11";
const SERVER_AUTH: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
const CLIENT_AUTH: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
const TRUE: &[u8] = b"\x01\x01\xff";

/// A certificate and its key, in PEM: Sprig's `certificate`.
pub(super) struct Pair {
    pub(super) cert: Text,
    pub(super) key: Text,
}

impl Object for Pair {
    fn type_name(&self) -> Rc<str> {
        "sprig.certificate".into()
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::Text(self.cert.clone())),
            "Key" => Some(Value::Text(self.key.clone())),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(Text, Value)> {
        vec![("Cert".into(), Value::Text(self.cert.clone())), ("Key".into(), Value::Text(self.key.clone()))]
    }

    fn method(&self, _name: &str) -> Option<Function> {
        None
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other = other.as_any().and_then(|any| any.downcast_ref::<Self>());
        other.is_some_and(|other| self.cert == other.cert && self.key == other.key)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// What a certificate is to say.
pub(super) struct Template {
    pub(super) common_name: Text,
    addresses: Vec<IpAddr>,
    names: Vec<Text>,
    not_before: Timestamp,
    not_after: Timestamp,
    authority: bool,
}

impl Template {
    /// One for an authority, from `(name, days, …)`.
    pub(super) fn of_authority(arguments: &Arguments, now: Timestamp) -> Result<Self, Failure> {
        let (not_before, not_after) = validity(now, arguments.int(1)?)?;
        let common_name = arguments.text(0)?.clone();
        Ok(Self {
            common_name,
            addresses: Vec::new(),
            names: Vec::new(),
            not_before,
            not_after,
            authority: true,
        })
    }

    /// One from `(name, addresses, names, days, …)`.
    pub(super) fn of_host(
        context: &Context<'_>,
        arguments: &Arguments,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let (not_before, not_after) = validity(now, arguments.int(3)?)?;
        Ok(Self {
            common_name: arguments.text(0)?.clone(),
            addresses: addresses(context, arguments)?,
            names: names(context, arguments)?,
            not_before,
            not_after,
            authority: false,
        })
    }
}

/// From now on for so many days, which wrap around as Go's durations do.
fn validity(now: Timestamp, days: i64) -> Result<(Timestamp, Timestamp), Failure> {
    let lasting = SignedDuration::from_nanos(days.wrapping_mul(24 * 3600 * 1_000_000_000));
    let until = now.checked_add(lasting).map_err(|_| "the time is out of range")?;
    Ok((now, until))
}

fn unlike_text(context: &Context<'_>, value: &Value, what: &str) -> Failure {
    match crate::fmt::sprint(std::slice::from_ref(value), context.room()) {
        Ok(shown) => Failure::new([what.as_bytes(), b": ", &shown[..], b" is not a string"].concat()),
        Err(failure) => failure,
    }
}

fn addresses(context: &Context<'_>, arguments: &Arguments) -> Result<Vec<IpAddr>, Failure> {
    let read = |item: &Value| match item {
        Value::Text(text) => {
            let address = std::str::from_utf8(text).ok().and_then(|text| text.parse::<IpAddr>().ok());
            address.ok_or_else(|| Failure::new([b"error parsing ip: ", &text[..]].concat()))
        }
        other => Err(unlike_text(context, other, "error parsing ip")),
    };
    arguments.list(1)?.items().iter().map(read).collect()
}

fn names(context: &Context<'_>, arguments: &Arguments) -> Result<Vec<Text>, Failure> {
    let read = |item: &Value| match item {
        Value::Text(text) => Ok(text.clone()),
        other => Err(unlike_text(context, other, "error processing alternate dns name")),
    };
    arguments.list(2)?.items().iter().map(read).collect()
}

/// Who signs: the name in its certificate, the number of its key if it has one, and the key.
pub(super) struct Signer<'k> {
    subject: Vec<u8>,
    key_number: Vec<u8>,
    public: Option<Vec<u8>>,
    key: &'k Key,
}

impl<'k> Signer<'k> {
    /// The authority of that certificate.
    pub(super) fn of(certificate: &Parsed, key: &'k Key) -> Self {
        let Parsed { subject, key_number, public } = certificate;
        Self { subject: subject.clone(), key_number: key_number.clone(), public: public.clone(), key }
    }
}

/// Makes a certificate for a key, signed by another or by itself, in PEM.
pub(super) fn create(
    template: &Template,
    key: &Key,
    signer: Option<&Signer<'_>>,
    serial: [u8; 16],
) -> Result<Pair, Failure> {
    let failed = |why: &[u8]| Failure::new([b"error creating certificate: ", why].concat());
    let signing = signer.map_or(key, |signer| signer.key);
    let Ok((own_public, _)) = signing.public() else {
        return Err(failed(b"x509: certificate private key does not implement crypto.Signer"));
    };
    let (public, public_bytes) = key.public().map_err(|why| failed(why.as_bytes()))?;
    let subject = name(&template.common_name).map_err(|why| failed(why.as_bytes()))?;
    let issuer = signer.map_or(&subject, |signer| &signer.subject);
    let authority_key = match signer {
        Some(signer) if *issuer != subject => &signer.key_number[..],
        Some(_) | None => &[],
    };
    if signer.and_then(|signer| signer.public.as_ref()).is_some_and(|public| *public != own_public) {
        return Err(failed(b"x509: provided PrivateKey doesn't match parent's PublicKey"));
    }
    let number = Sha256::digest(&public_bytes);
    let subject_key = if template.authority { &number[..20] } else { &[] };
    let extensions =
        extensions(template, &subject, authority_key, subject_key).map_err(|why| failed(&why))?;
    let algorithm = signing.signature_algorithm();
    let parts = der::sequence(&[
        &der::element(0xa0, &der::integer(&[2])),
        &der::integer(&serial),
        &algorithm,
        issuer,
        &der::sequence(&[&time(template.not_before), &time(template.not_after)]),
        &subject,
        &public,
        &der::element(0xa3, &extensions),
    ]);
    let signature = signing.sign(&parts).map_err(|why| failed(why.as_bytes()))?;
    let certificate = der::sequence(&[&parts, &algorithm, &der::bit_string(&signature)]);
    Ok(Pair { cert: pem::encode("CERTIFICATE", &certificate).into(), key: key.to_pem().into() })
}

fn extension(identifier: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    der::sequence(&[identifier, critical, &der::element(der::OCTET_STRING, value)])
}

/// The extensions in Go's order.
fn extensions(
    template: &Template,
    subject: &[u8],
    authority_key: &[u8],
    subject_key: &[u8],
) -> Result<Vec<u8>, Vec<u8>> {
    // Digital signature and key encipherment; an authority signs certificates too.
    let (usage, constraints): (&[u8], _) = if template.authority {
        (&[2, 0xa4], der::sequence(&[TRUE]))
    } else {
        (&[5, 0xa0], der::sequence(&[]))
    };
    let mut all = vec![
        extension(KEY_USAGE, TRUE, &der::element(der::BIT_STRING, usage)),
        extension(EXTENDED_KEY_USAGE, &[], &der::sequence(&[SERVER_AUTH, CLIENT_AUTH])),
        extension(BASIC_CONSTRAINTS, TRUE, &constraints),
    ];
    if !subject_key.is_empty() {
        all.push(extension(SUBJECT_KEY, &[], &der::element(der::OCTET_STRING, subject_key)));
    }
    if !authority_key.is_empty() {
        let number = der::element(0x80, authority_key);
        all.push(extension(AUTHORITY_KEY, &[], &der::sequence(&[&number])));
    }
    let mut alternatives = Vec::new();
    for name in &template.names {
        if !name.is_ascii() {
            return Err([b"x509: ", &quote(name)[..], b" cannot be encoded as an IA5String"].concat());
        }
        alternatives.extend(der::element(0x82, name));
    }
    for address in &template.addresses {
        alternatives.extend(match address.to_canonical() {
            IpAddr::V4(address) => der::element(0x87, &address.octets()),
            IpAddr::V6(address) => der::element(0x87, &address.octets()),
        });
    }
    if !alternatives.is_empty() {
        // Where there is no subject, these names are it.
        let critical = if subject == der::sequence(&[]) { TRUE } else { &[] };
        all.push(extension(ALTERNATIVE_NAMES, critical, &der::sequence(&[&alternatives])));
    }
    Ok(der::sequence(&[&all.concat()]))
}

/// A name of one common name, or of none.
fn name(common_name: &[u8]) -> Result<Vec<u8>, String> {
    const PRINTABLE: u8 = 0x13;
    const UTF8: u8 = 0x0c;
    if common_name.is_empty() {
        return Ok(der::sequence(&[]));
    }
    let printable = common_name.iter().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'\''..=b')' | b'+'..=b'/' | b' ' | b':' | b'=' | b'?')
    });
    if std::str::from_utf8(common_name).is_err() {
        return Err("asn1: string not valid UTF-8".into());
    }
    let text = der::element(if printable { PRINTABLE } else { UTF8 }, common_name);
    let attribute = der::sequence(&[COMMON_NAME, &text]);
    Ok(der::sequence(&[&der::element(der::SET, &attribute)]))
}

fn time(time: Timestamp) -> Vec<u8> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let civil = TimeZone::UTC.to_datetime(time);
    if (1950..2050).contains(&civil.year()) {
        return der::element(UTC_TIME, civil.strftime("%y%m%d%H%M%SZ").to_string().as_bytes());
    }
    der::element(GENERALIZED_TIME, civil.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

/// What is asked of a certificate that signs others.
pub(super) struct Parsed {
    subject: Vec<u8>,
    key_number: Vec<u8>,
    /// Its public key, where that is of a kind that is known.
    public: Option<Vec<u8>>,
}

/// Reads a certificate; the error is Go's.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, &'static str> {
    let mut outer = Reader::new(bytes);
    let mut whole = outer.sequence().ok_or("x509: malformed certificate")?;
    if !outer.is_empty() {
        return Err("x509: trailing data");
    }
    let mut parts = whole.sequence().ok_or("x509: malformed tbs certificate")?;
    if let Some(version) = parts.expect(0xa0) {
        match Reader::new(version).integer() {
            Some([0..=2]) => {}
            Some([0x80..=0xff, ..]) | None => return Err("x509: malformed version"),
            Some(_) => return Err("x509: invalid version"),
        }
    }
    let serial = parts.integer().ok_or("x509: malformed serial number")?;
    if serial[0] >= 0x80 {
        return Err("x509: negative serial number");
    }
    let algorithm = parts.expect(der::SEQUENCE).ok_or("x509: malformed signature algorithm identifier")?;
    let outer_algorithm = whole.expect(der::SEQUENCE).ok_or("x509: malformed algorithm identifier")?;
    if algorithm != outer_algorithm {
        return Err("x509: inner and outer signature algorithm identifiers don't match");
    }
    parts.optional(der::SEQUENCE).ok_or("x509: malformed issuer")?;
    let mut validity = parts.sequence().ok_or("x509: malformed validity")?;
    if (0..2).any(|_| !validity.any().is_some_and(|time| matches!(time.tag, 0x17 | 0x18))) {
        return Err("x509: unsupported time format");
    }
    let subject = parts.optional(der::SEQUENCE).ok_or("x509: malformed issuer")?.whole;
    let public = parts.optional(der::SEQUENCE).ok_or("x509: malformed spki")?;
    let mut key = Reader::new(public.contents);
    let mut key_algorithm = key.sequence().ok_or("x509: malformed public key algorithm identifier")?;
    let identifier = key_algorithm.optional(der::OBJECT_IDENTIFIER).ok_or("x509: malformed OID")?;
    key.bits().ok_or("x509: malformed subjectPublicKey")?;
    let known = KNOWN.contains(&identifier.whole);
    let key_number = parts
        .any()
        .filter(|last| last.tag == 0xa3)
        .map_or(Ok(Vec::new()), |all| subject_key(all.contents))?;
    whole.bits().ok_or("x509: malformed signature")?;
    Ok(Parsed { subject: subject.to_vec(), key_number, public: known.then(|| public.whole.to_vec()) })
}

/// The number of the subject's key, if the extensions have one.
fn subject_key(extensions: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut all = Reader::new(extensions).sequence().ok_or("x509: malformed extensions")?;
    let mut found = Vec::new();
    while !all.is_empty() {
        let mut extension = all.sequence().ok_or("x509: malformed extension")?;
        let identifier =
            extension.optional(der::OBJECT_IDENTIFIER).ok_or("x509: malformed extension OID field")?;
        extension.expect(0x01);
        let value = extension.expect(der::OCTET_STRING).ok_or("x509: malformed extension value field")?;
        if identifier.whole == SUBJECT_KEY {
            let number = Reader::new(value).expect(der::OCTET_STRING);
            found = number.ok_or("x509: invalid subject key identifier")?.to_vec();
        }
    }
    Ok(found)
}
