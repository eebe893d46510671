//! Keys, certificates, passwords and ciphers. Random bytes and the clock are the host's.

mod certificate;
mod der;
mod keys;
mod passwords;
mod pem;

pub(super) use passwords::{TABLE, password_functions};

use super::encoding::decode64;
use super::{Entry, Now, Random};
use crate::context::Context;
use crate::error::Failure;
use crate::function::{Arguments, Function, Functions, InvalidSignature};
use crate::text::Text;
use crate::value::Value;
use certificate::{Pair, Signer, Template};
use keys::Key;
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use std::rc::Rc;

/// What making a key costs, in steps of an execution: about as long as they take.
const RSA_2048: u64 = 1_000_000;
const RSA_4096: u64 = 5_000_000;
const DSA: u64 = 10_000_000;
/// One of an elliptic curve, and a signature of it.
const CURVE: u64 = 2_000;
/// What a signature costs.
const SIGNATURE: u64 = 50_000;

const PAIR: &str = "(sprig.certificate, error)";

/// The names of what [`certificate_functions`] makes.
pub const CERTIFICATES: [&str; 6] = [
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
];

/// Sprig's functions that make certificates: `genCA`, `genCAWithKey`, `genSelfSignedCert`, `genSelfSignedCertWithKey`,
/// `genSignedCert` and `genSignedCertWithKey`.
///
/// Keys and serials are made of the random bytes alone, and signatures are made without any, so equal bytes at an equal
/// time give an equal certificate.
///
/// ```
/// use jiff::Timestamp;
/// use std::{cell::Cell, rc::Rc};
/// use trueup_template::{Limits, Templates, Value, sprig};
///
/// let state = Cell::new(1_u64); // Not random at all.
/// let random: sprig::Random = Rc::new(move |bytes| {
///     for byte in bytes {
///         state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
///         *byte = state.get().to_be_bytes()[0];
///     }
/// });
/// let now: sprig::Now = Rc::new(|| Timestamp::UNIX_EPOCH);
/// let mut functions = sprig::certificate_functions(&random, &now)?;
/// let keys = sprig::random_functions(&random)?;
/// functions.insert("genPrivateKey", keys.get(b"genPrivateKey").ok_or("none")?.clone());
/// let mut templates = Templates::new("all").with_functions(functions);
/// templates.parse("main", "{{ (genCAWithKey `ca` 365 (genPrivateKey `ecdsa`)).Cert }}")?;
/// let output = templates.execute("main", Value::Nil, &Limits::default())?;
/// assert!(output.starts_with(b"-----BEGIN CERTIFICATE-----\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn certificate_functions(random: &Random, now: &Now) -> Result<Functions, InvalidSignature> {
    let makers: [(&str, &str, Maker); 6] = [
        ("genCA", "string, int", Maker { kind: Kind::Authority, key: KeyFrom::Random }),
        ("genCAWithKey", "string, int, string", Maker { kind: Kind::Authority, key: KeyFrom::Argument(2) }),
        (
            "genSelfSignedCert",
            "string, []interface {}, []interface {}, int",
            Maker { kind: Kind::SelfSigned, key: KeyFrom::Random },
        ),
        (
            "genSelfSignedCertWithKey",
            "string, []interface {}, []interface {}, int, string",
            Maker { kind: Kind::SelfSigned, key: KeyFrom::Argument(4) },
        ),
        (
            "genSignedCert",
            "string, []interface {}, []interface {}, int, sprig.certificate",
            Maker { kind: Kind::Signed, key: KeyFrom::Random },
        ),
        (
            "genSignedCertWithKey",
            "string, []interface {}, []interface {}, int, sprig.certificate, string",
            Maker { kind: Kind::Signed, key: KeyFrom::Argument(5) },
        ),
    ];
    let mut functions = Functions::new();
    for (name, parameters, maker) in makers {
        let (random, now) = (Rc::clone(random), Rc::clone(now));
        let body = move |context: &mut Context<'_>, arguments: &Arguments| {
            maker.make(context, arguments, &random, &now)
        };
        functions.insert(name, Function::new(&format!("func({parameters}) {PAIR}"), body)?);
    }
    Ok(functions)
}

/// A function that makes certificates of one kind.
#[derive(Clone, Copy)]
struct Maker {
    kind: Kind,
    key: KeyFrom,
}

#[derive(Clone, Copy)]
enum Kind {
    Authority,
    SelfSigned,
    Signed,
}

/// Where the certificate's key comes from.
#[derive(Clone, Copy)]
enum KeyFrom {
    Random,
    /// The argument there, in PEM.
    Argument(usize),
}

impl Maker {
    fn make(
        self,
        context: &mut Context<'_>,
        arguments: &Arguments,
        random: &Random,
        now: &Now,
    ) -> Result<Value, Failure> {
        let given = match self.key {
            KeyFrom::Random => None,
            KeyFrom::Argument(at) => Some(
                Key::parse(arguments.text(at)?)
                    .map_err(|why| Failure::new([b"parsing private key: ", &why[..]].concat()))?,
            ),
        };
        let signer = match self.kind {
            Kind::Authority | Kind::SelfSigned => None,
            Kind::Signed => Some(authority(arguments, 4)?),
        };
        let template = match self.kind {
            Kind::Authority => Template::of_authority(arguments, now())?,
            Kind::SelfSigned | Kind::Signed => Template::of_host(context, arguments, now())?,
        };
        context.spend(SIGNATURE)?;
        let mut random = Bytes(random);
        let key = if let Some(key) = given {
            key
        } else {
            context.spend(RSA_2048)?;
            Key::rsa(&mut random, 2048).ok_or("error generating rsa key")?
        };
        let mut serial = [0; 16];
        random.fill(&mut serial);
        let signer = signer.as_ref().map(|(parsed, key)| Signer::of(parsed, key));
        let pair = certificate::create(&template, &key, signer.as_ref(), serial)?;
        context.write(pair.cert.len() + pair.key.len())?;
        Ok(Value::Object(Rc::new(pair)))
    }
}

/// The certificate and the key of the pair at `index`.
fn authority(arguments: &Arguments, index: usize) -> Result<(certificate::Parsed, Key), Failure> {
    let object = arguments.object(index)?;
    let pair = object.as_any().and_then(|any| any.downcast_ref::<Pair>()).ok_or("no certificate")?;
    read(&pair.cert, &pair.key)
}

/// A certificate and a key, of PEM.
fn read(certificate: &[u8], key: &[u8]) -> Result<(certificate::Parsed, Key), Failure> {
    let block = pem::decode(certificate).ok_or("unable to decode certificate")?;
    let parsed = certificate::parse(&block.bytes)
        .map_err(|why| format!("error parsing certificate: decodedCert.Bytes: {why}"))?;
    let key = Key::parse(key).map_err(|why| [b"error parsing private key: ", &why[..]].concat());
    Ok((parsed, key.map_err(Failure::new)?))
}

/// `buildCustomCert`: a pair of what stands in base64, as it is.
pub(super) const CUSTOM: Entry =
    (&["buildCustomCert"], "func(string, string) (sprig.certificate, error)", |context, arguments| {
        let decoded =
            |index: usize, why: &'static str| decode64(arguments.text(index)?).map_err(|_| Failure::new(why));
        let cert = decoded(0, "unable to decode base64 certificate")?;
        let key = decoded(1, "unable to decode base64 private key")?;
        context.spend(SIGNATURE)?;
        read(&cert, &key)?;
        Ok(Value::Object(Rc::new(Pair { cert: cert.into(), key: key.into() })))
    });

/// `genPrivateKey`; what goes wrong is its result.
fn private_key(context: &mut Context<'_>, random: &Random, kind: &Text) -> Result<Value, Failure> {
    const FAILED: &str = "failed to generate private key";
    let mut random = Bytes(random);
    let made = match &kind[..] {
        b"" | b"rsa" => {
            context.spend(RSA_4096)?;
            Key::rsa(&mut random, 4096).map(|key| key.to_pem())
        }
        b"dsa" => {
            context.spend(DSA)?;
            keys::dsa(&mut random)
        }
        b"ecdsa" => {
            context.spend(CURVE)?;
            Some(Key::ec(&random).to_pem())
        }
        b"ed25519" => {
            context.spend(CURVE)?;
            Some(Key::ed25519(&random).to_pem())
        }
        _ => Some([b"Unknown type ", &kind[..]].concat()),
    };
    Ok(made.unwrap_or_else(|| FAILED.into()).into())
}

/// The host's random bytes, for those who ask for a generator.
pub(super) struct Bytes<'r>(&'r Random);

impl Bytes<'_> {
    fn fill(&self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }
}

impl TryRng for Bytes<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Bytes<'_> {}
