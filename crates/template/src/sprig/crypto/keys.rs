//! Private keys: made of random bytes, read, written, and signed with.

use super::der::{self, Reader};
use super::{Bytes, pem};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, NonZero, Odd, Resize as _};
use crypto_primes::Flavor;
use ed25519_dalek::Signer as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest as _, Sha256};

// Object identifiers, in DER.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const SHA256_WITH_RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
const ECDSA_WITH_SHA256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const ECDSA_WITH_SHA384: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03";
const ECDSA_WITH_SHA512: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04";
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
const P521: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x23";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
const X25519: &[u8] = b"\x06\x03\x2b\x65\x6e";
const DSA: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01";

/// The algorithms of public keys that are compared with a certificate's.
pub(super) const KNOWN: [&[u8]; 5] = [RSA, EC, ED25519, X25519, DSA];

pub(super) enum Key {
    Rsa(Box<RsaPrivateKey>),
    /// On a curve, the number that is the secret.
    Ec(Curve, Vec<u8>),
    Ed25519([u8; 32]),
    /// One that is no certificate's, by the type of its public key: DSA, X25519.
    Other(&'static str),
}

#[derive(Clone, Copy)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// The same code for each curve's crate.
macro_rules! on_curve {
    ($curve:expr, $name:ident => $body:expr) => {
        match $curve {
            Curve::P256 => {
                use p256 as $name;
                $body
            }
            Curve::P384 => {
                use p384 as $name;
                $body
            }
            Curve::P521 => {
                use p521 as $name;
                $body
            }
        }
    };
}

impl Curve {
    fn of(identifier: &[u8]) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521].into_iter().find(|curve| curve.identifier() == identifier)
    }

    fn identifier(self) -> &'static [u8] {
        match self {
            Self::P256 => P256,
            Self::P384 => P384,
            Self::P521 => P521,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The point that a secret stands for, uncompressed; none where it is zero or too large.
    fn point(self, secret: &[u8]) -> Option<Vec<u8>> {
        on_curve!(self, curve => {
            use curve::elliptic_curve::sec1::ToSec1Point as _;
            let key = curve::SecretKey::from_slice(secret).ok()?;
            Some(key.public_key().to_sec1_point(false).as_bytes().to_vec())
        })
    }

    /// The two numbers of a signature, of equal size.
    fn sign(self, secret: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        on_curve!(self, curve => {
            let key = curve::ecdsa::SigningKey::from_slice(secret).ok()?;
            let signature: curve::ecdsa::Signature = key.try_sign(message).ok()?;
            Some(signature.to_bytes().to_vec())
        })
    }
}

/// An algorithm that stands for itself, or with parameters.
fn algorithm(identifier: &[u8], parameters: &[u8]) -> Vec<u8> {
    der::sequence(&[identifier, parameters])
}

const NULL: &[u8] = &[der::NULL, 0];
const INCONSISTENT: &str = "crypto/rsa: invalid private key";

impl Key {
    pub(super) fn rsa(random: &mut Bytes<'_>, bits: usize) -> Option<Self> {
        RsaPrivateKey::new(random, bits).ok().map(|key| Self::Rsa(Box::new(key)))
    }

    pub(super) fn ec(random: &Bytes<'_>) -> Self {
        loop {
            let mut secret = vec![0; Curve::P256.size()];
            random.fill(&mut secret);
            if Curve::P256.point(&secret).is_some() {
                return Self::Ec(Curve::P256, secret);
            }
        }
    }

    pub(super) fn ed25519(random: &Bytes<'_>) -> Self {
        let mut seed = [0; 32];
        random.fill(&mut seed);
        Self::Ed25519(seed)
    }

    /// The key as Go writes one of its kind.
    pub(super) fn to_pem(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => pem::encode("RSA PRIVATE KEY", &pkcs1(key)),
            Self::Ec(curve, secret) => {
                let parameters = der::element(0xa0, curve.identifier());
                let point = curve.point(secret).unwrap_or_default();
                let public = der::element(0xa1, &der::bit_string(&point));
                let secret = der::element(der::OCTET_STRING, secret);
                let key = der::sequence(&[&der::integer(&[1]), &secret, &parameters, &public]);
                pem::encode("EC PRIVATE KEY", &key)
            }
            Self::Ed25519(seed) => {
                let seed = der::element(der::OCTET_STRING, &der::element(der::OCTET_STRING, seed));
                let key = der::sequence(&[&der::integer(&[0]), &algorithm(ED25519, &[]), &seed]);
                pem::encode("PRIVATE KEY", &key)
            }
            Self::Other(_) => Vec::new(),
        }
    }

    /// The public key as certificates have it, and the bytes of the key in it.
    pub(super) fn public(&self) -> Result<(Vec<u8>, Vec<u8>), String> {
        let (algorithm, bytes) = match self {
            Self::Rsa(key) => {
                let numbers = [number(key.n().as_ref()), number(key.e())];
                (algorithm(RSA, NULL), der::sequence(&[&numbers[0], &numbers[1]]))
            }
            Self::Ec(curve, secret) => {
                let point = curve.point(secret).ok_or("x509: unsupported elliptic curve")?;
                (algorithm(EC, curve.identifier()), point)
            }
            Self::Ed25519(seed) => {
                let key = ed25519_dalek::SigningKey::from_bytes(seed);
                (algorithm(ED25519, &[]), key.verifying_key().to_bytes().to_vec())
            }
            Self::Other(kind) => return Err(format!("x509: unsupported public key type: {kind}")),
        };
        Ok((der::sequence(&[&algorithm, &der::bit_string(&bytes)]), bytes))
    }

    /// How it signs, as certificates say it.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        match self {
            Self::Rsa(_) => algorithm(SHA256_WITH_RSA, NULL),
            Self::Ec(Curve::P256, _) => algorithm(ECDSA_WITH_SHA256, &[]),
            Self::Ec(Curve::P384, _) => algorithm(ECDSA_WITH_SHA384, &[]),
            Self::Ec(Curve::P521, _) => algorithm(ECDSA_WITH_SHA512, &[]),
            Self::Ed25519(_) => algorithm(ED25519, &[]),
            Self::Other(_) => Vec::new(),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        const UNABLE: &str = "x509: certificate private key does not implement crypto.Signer";
        match self {
            Self::Rsa(key) => {
                let bits = key.n().as_ref().bits_vartime();
                if bits < 1024 {
                    return Err(format!(
                        "crypto/rsa: {bits}-bit keys are insecure (see https://go.dev/pkg/crypto/rsa#hdr-Minimum_key_size)"
                    ));
                }
                let signed = key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message));
                signed.map_err(|_| INCONSISTENT.to_owned())
            }
            Self::Ec(curve, secret) => {
                let pair = curve.sign(secret, message).ok_or(UNABLE)?;
                let (r, s) = pair.split_at(pair.len() / 2);
                Ok(der::sequence(&[&der::integer(r), &der::integer(s)]))
            }
            Self::Ed25519(seed) => {
                Ok(ed25519_dalek::SigningKey::from_bytes(seed).sign(message).to_bytes().to_vec())
            }
            Self::Other(_) => Err(UNABLE.into()),
        }
    }

    /// Reads the first block of a PEM text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Vec<u8>> {
        let block = pem::decode(text).ok_or(&b"no PEM data in input"[..])?;
        let failed = |what: &str, why: String| format!("{what}: {why}").into_bytes();
        if block.kind == b"PRIVATE KEY" {
            return parse_pkcs8(&block.bytes).map_err(|why| failed("decoding PEM as PKCS#8", why));
        }
        let Some(kind) = block.kind.strip_suffix(b" PRIVATE KEY") else {
            return Err([b"no private key data in PEM block of type ", &block.kind[..]].concat());
        };
        match kind {
            b"RSA" => {
                parse_pkcs1(&block.bytes).map_err(|why| failed("parsing RSA private key from PEM", why))
            }
            b"EC" => {
                parse_ec(&block.bytes, None).map_err(|why| failed("parsing EC private key from PEM", why))
            }
            b"DSA" => {
                let mut reader = Reader::new(&block.bytes).sequence();
                let mut integer = || reader.as_mut().and_then(Reader::integer);
                let whole = (0..6).all(|_| integer().is_some());
                let why = || failed("parsing DSA private key from PEM", malformed(&block.bytes));
                if whole { Ok(Self::Other("*dsa.PublicKey")) } else { Err(why()) }
            }
            _ => Err([b"invalid private key type ", &block.kind[..]].concat()),
        }
    }
}

fn number(number: &BoxedUint) -> Vec<u8> {
    der::integer(&number.to_be_bytes())
}

fn pkcs1(key: &RsaPrivateKey) -> Vec<u8> {
    let zero = BoxedUint::zero();
    let primes: Vec<Vec<u8>> = key.primes().iter().map(|prime| number(prime.as_ref())).collect();
    let crt = key.crt_coefficient();
    let parts = [
        der::integer(&[0]),
        number(key.n().as_ref()),
        number(key.e()),
        number(key.d()),
        primes.concat(),
        number(key.dp().unwrap_or(&zero)),
        number(key.dq().unwrap_or(&zero)),
        number(crt.as_ref().unwrap_or(&zero)),
    ];
    der::sequence(&[&parts.concat()])
}

/// A form of private keys, the function that Go reads it with, and whether it may be one.
type Form = (&'static str, fn(&[u8]) -> bool);

const FORM_EC: Form = ("ParseECPrivateKey", |bytes| ec_parts(bytes).is_some());
const FORM_PKCS1: Form = ("ParsePKCS1PrivateKey", |bytes| {
    let mut reader = Reader::new(bytes).sequence();
    (0..6).all(|_| reader.as_mut().and_then(Reader::integer).is_some())
});
const FORM_PKCS8: Form = ("ParsePKCS8PrivateKey", |bytes| pkcs8_parts(bytes).is_some());

/// What Go says of a key that it cannot read in one form: which other it is in, or what is wrong.
fn misplaced(bytes: &[u8], others: [Form; 2], otherwise: &str) -> String {
    match others.iter().find(|(_, is)| is(bytes)) {
        Some((function, _)) => {
            format!("x509: failed to parse private key (use {function} instead for this key format)")
        }
        None => format!("{otherwise}{}", malformed(bytes)),
    }
}

/// What Go says of DER that it cannot read, roughly.
fn malformed(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "asn1: syntax error: sequence truncated".into();
    }
    "asn1: structure error: malformed".into()
}

/// The algorithm, its parameters and the key.
fn pkcs8_parts(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut reader = Reader::new(bytes).sequence()?;
    reader.integer()?;
    let mut algorithm = reader.sequence()?;
    let identifier = algorithm.optional(der::OBJECT_IDENTIFIER)?.whole;
    let parameters = if algorithm.is_empty() { &[][..] } else { algorithm.any()?.whole };
    Some((identifier, parameters, reader.expect(der::OCTET_STRING)?))
}

/// The version, the secret and the curve.
type EcParts<'d> = (&'d [u8], &'d [u8], Option<&'d [u8]>);

fn ec_parts(bytes: &[u8]) -> Option<EcParts<'_>> {
    let mut reader = Reader::new(bytes).sequence()?;
    Some((reader.integer()?, reader.expect(der::OCTET_STRING)?, reader.expect(0xa0)))
}

fn parse_pkcs8(bytes: &[u8]) -> Result<Key, String> {
    let (identifier, parameters, key) =
        pkcs8_parts(bytes).ok_or_else(|| misplaced(bytes, [FORM_EC, FORM_PKCS1], ""))?;
    let embedded = |kind: &str, why: String| {
        format!("x509: failed to parse {kind} private key embedded in PKCS#8: {why}")
    };
    match identifier {
        RSA => parse_pkcs1(key).map_err(|why| embedded("RSA", why)),
        EC => parse_ec(key, Some(parameters)).map_err(|why| embedded("EC", why)),
        ED25519 | X25519 => {
            let name = if identifier == ED25519 { "Ed25519" } else { "X25519" };
            if !parameters.is_empty() {
                return Err(format!("x509: invalid {name} private key parameters"));
            }
            let seed = Reader::new(key).expect(der::OCTET_STRING);
            let seed = seed.ok_or_else(|| format!("x509: invalid {name} private key: {}", malformed(key)))?;
            let size = <[u8; 32]>::try_from(seed);
            match (identifier == ED25519, size) {
                (true, Ok(seed)) => Ok(Key::Ed25519(seed)),
                (false, Ok(_)) => Ok(Key::Other("*ecdh.PublicKey")),
                (true, Err(_)) => Err(format!("x509: invalid Ed25519 private key length: {}", seed.len())),
                (false, Err(_)) => Err("crypto/ecdh: invalid private key size".into()),
            }
        }
        _ => Err("x509: PKCS#8 wrapping contained private key with unknown algorithm".into()),
    }
}

fn parse_ec(bytes: &[u8], named: Option<&[u8]>) -> Result<Key, String> {
    const FAILED: &str = "x509: failed to parse EC private key: ";
    let (version, secret, own) =
        ec_parts(bytes).ok_or_else(|| misplaced(bytes, [FORM_PKCS8, FORM_PKCS1], FAILED))?;
    if version != [1] {
        return Err("x509: unknown EC private key version".into());
    }
    let named = named.filter(|name| name.first() == Some(&der::OBJECT_IDENTIFIER));
    let curve = named.or(own).and_then(Curve::of).ok_or("x509: unknown elliptic curve")?;
    let significant = &secret[secret.iter().take_while(|byte| **byte == 0).count()..];
    if significant.len() > curve.size() {
        return Err("x509: invalid private key length".into());
    }
    // Zeros before a number are left out or doubled by some.
    let secret = [&vec![0; curve.size() - significant.len()][..], significant].concat();
    match curve.point(&secret) {
        Some(_) => Ok(Key::Ec(curve, secret)),
        None => Err("invalid private key".into()),
    }
}

#[allow(clippy::many_single_char_names, reason = "so they are called")]
fn parse_pkcs1(bytes: &[u8]) -> Result<Key, String> {
    let unread = || misplaced(bytes, [FORM_EC, FORM_PKCS8], "");
    let mut outer = Reader::new(bytes);
    let mut reader = outer.sequence().ok_or_else(unread)?;
    if !outer.is_empty() {
        return Err("asn1: syntax error: trailing data".into());
    }
    let version = reader.integer().ok_or_else(unread)?;
    if !matches!(version, [0 | 1]) {
        return Err("x509: unsupported private key version".into());
    }
    let mut next = || {
        let number = reader.integer()?;
        Some((number[0] < 0x80 && number != [0]).then(|| BoxedUint::from_be_slice_vartime(number)))
    };
    let mut numbers = Vec::with_capacity(8);
    while let Some(number) = next() {
        numbers.push(number.ok_or("x509: private key contains zero or negative value")?);
    }
    let [n, e, d, p, q, crt @ ..] = &numbers[..] else { return Err(unread()) };
    if !reader.is_empty() {
        return Err("crypto/rsa: keys of more than two primes are not read".into());
    }
    let primes = vec![p.clone(), q.clone()];
    let key = RsaPrivateKey::from_components(n.clone(), e.clone(), d.clone(), primes);
    let key = key.map_err(|_| INCONSISTENT)?;
    let own = [key.dp().cloned(), key.dq().cloned(), key.crt_coefficient()];
    let differs = |(given, own): (&BoxedUint, &Option<BoxedUint>)| {
        own.as_ref().is_none_or(|own| number(own) != number(given))
    };
    if crt.iter().zip(&own).any(differs) {
        return Err("crypto/rsa: precomputed values are inconsistent with the key".into());
    }
    Ok(Key::Rsa(Box::new(key)))
}

/// A DSA key of 2048 and 256 bits, in the form that OpenSSL writes.
#[allow(clippy::many_single_char_names, reason = "so they are called")]
pub(super) fn dsa(random: &mut Bytes<'_>) -> Option<Vec<u8>> {
    const BITS: u32 = 2048;
    let q: BoxedUint = crypto_primes::random_prime(random, Flavor::Any, 256);
    let order = NonZero::new(q.clone().resize(BITS)).into_option()?;
    let step = NonZero::new(q.clone().resize(BITS).shl(1)).into_option()?;
    let one = BoxedUint::one_with_precision(BITS);
    let p = loop {
        let mut bytes = [0; 256];
        random.fill(&mut bytes);
        bytes[0] |= 0x80;
        let start = BoxedUint::from_be_slice(&bytes, BITS).ok()?;
        // One more than a multiple of twice the order.
        let candidate = start.wrapping_sub(start.rem(&step)).wrapping_add(&one);
        if candidate.bits_vartime() == BITS
            && !has_small_factor(&candidate)
            && crypto_primes::is_prime(Flavor::Any, &candidate)
        {
            break candidate;
        }
    };
    let parameters = BoxedMontyParams::new(Odd::new(p.clone()).into_option()?);
    let cofactor = p.wrapping_sub(&one).wrapping_div(&order);
    let g = (2_u32..).map(|base| {
        let base = BoxedUint::from(base).resize(BITS);
        BoxedMontyForm::new(base, &parameters).pow(&cofactor)
    });
    let g = g.take(100).find(|g| g.retrieve() != one)?;
    let x = loop {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let x = BoxedUint::from_be_slice(&bytes, 256).ok()?;
        if x.bits_vartime() > 0 && x < q {
            break x;
        }
    };
    let y = g.pow(&x).retrieve();
    let numbers: Vec<u8> = [&p, &q, &g.retrieve(), &y, &x].into_iter().flat_map(number).collect();
    Some(pem::encode("DSA PRIVATE KEY", &der::sequence(&[&der::integer(&[0]), &numbers])))
}

/// Whether a number below two thousand divides it.
fn has_small_factor(number: &BoxedUint) -> bool {
    let bytes = number.to_be_bytes();
    (3..2000_u32)
        .step_by(2)
        .any(|divisor| bytes.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % divisor) == 0)
}
