//! What is made of random bytes, which the host brings.

use super::encoding::base64;
use crate::context::Context;
use crate::error::Failure;
use crate::function::{Arguments, Function, Functions, InvalidSignature};
use crate::value::Value;
use std::rc::Rc;

/// Fills a slice with random bytes.
pub type Random = Rc<dyn Fn(&mut [u8])>;

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

/// The names of what [`random_functions`] makes.
pub const CHANCE: [&str; 12] = [
    "bcrypt",
    "encryptAES",
    "genPrivateKey",
    "htpasswd",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "uuidv4",
];

/// Sprig's functions of chance: `randAlphaNum`, `randAlpha`, `randAscii`, `randNumeric`, `randBytes`, `randInt`,
/// `shuffle` and `uuidv4`, and what is made of it: `bcrypt`, `htpasswd`, `encryptAES` and `genPrivateKey`.
///
/// ```
/// use std::rc::Rc;
/// use trueup_template::{Limits, Templates, Value, sprig};
///
/// let random: sprig::Random = Rc::new(|bytes| bytes.fill(7));
/// let mut templates = Templates::new("all").with_functions(sprig::random_functions(&random)?);
/// templates.parse("main", "{{ uuidv4 }} {{ randNumeric 3 }}")?;
/// let output = templates.execute("main", Value::Nil, &Limits::default())?;
/// assert_eq!(output, b"07070707-0707-4707-8707-070707070707 777");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn random_functions(random: &Random) -> Result<Functions, InvalidSignature> {
    let ascii: String = (' '..='~').collect();
    let alphabets = [
        ("randAlphaNum", format!("{LETTERS}{DIGITS}")),
        ("randAlpha", LETTERS.into()),
        ("randAscii", ascii),
        ("randNumeric", DIGITS.into()),
    ];
    let mut functions = super::crypto::password_functions(random)?;
    for (name, alphabet) in alphabets {
        let random = Rc::clone(random);
        let body = move |context: &mut Context<'_>, arguments: &Arguments| {
            characters(context, &random, alphabet.as_bytes(), arguments)
        };
        functions.insert(name, Function::new("func(int) string", body)?);
    }
    let own = Rc::clone(random);
    functions.insert(
        "randBytes",
        Function::new("func(int) (string, error)", move |context, arguments| {
            let mut bytes = vec![0; room(context, arguments, "runtime error: makeslice: len out of range")?];
            own(&mut bytes);
            Ok(base64(&bytes).into())
        })?,
    );
    let own = Rc::clone(random);
    functions.insert(
        "randInt",
        Function::new("func(int, int) int", move |_, arguments| {
            let (least, end) = (arguments.int(0)?, arguments.int(1)?);
            let span =
                end.checked_sub(least).and_then(|span| u64::try_from(span).ok()).filter(|&span| span > 0);
            let span = span.ok_or("invalid argument to Intn")?;
            Ok(Value::int(least.wrapping_add_unsigned(below(&own, span))))
        })?,
    );
    let own = Rc::clone(random);
    functions.insert(
        "shuffle",
        Function::new("func(string) string", move |context, arguments| {
            let mut chars: Vec<char> = arguments.text(0)?.to_string_lossy().chars().collect();
            context.spend(chars.len() as u64)?;
            for end in (1..chars.len()).rev() {
                chars.swap(end, usize::try_from(below(&own, end as u64 + 1)).unwrap_or(0));
            }
            Ok(chars.into_iter().collect::<String>().into())
        })?,
    );
    let own = Rc::clone(random);
    functions.insert("uuidv4", Function::new("func() string", move |_, _| Ok(uuid(&own).into()))?);
    Ok(functions)
}

fn room(context: &mut Context<'_>, arguments: &Arguments, negative: &str) -> Result<usize, Failure> {
    let count = usize::try_from(arguments.int(0)?).map_err(|_| Failure::new(negative))?;
    context.write(count)?;
    Ok(count)
}

/// A number below `end`, each as likely as the others.
fn below(random: &Random, end: u64) -> u64 {
    let fair = u64::MAX - u64::MAX % end;
    loop {
        let mut bytes = [0; 8];
        random(&mut bytes);
        let number = u64::from_le_bytes(bytes);
        if number < fair || fair == 0 {
            return number % end;
        }
    }
}

/// So many of an alphabet's characters. A negative number gives none, as the error is dropped there.
fn characters(
    context: &mut Context<'_>,
    random: &Random,
    alphabet: &[u8],
    arguments: &Arguments,
) -> Result<Value, Failure> {
    if arguments.int(0)? <= 0 {
        return Ok("".into());
    }
    let count = room(context, arguments, "")?;
    let mut out = Vec::with_capacity(count);
    // Bytes above the last whole multiple of the alphabet would make its first characters likelier.
    let fair = 256 / alphabet.len() * alphabet.len();
    while out.len() < count {
        context.spend(1)?;
        let mut bytes = vec![0; (count - out.len()).min(1024)];
        random(&mut bytes);
        let fair = bytes.into_iter().map(usize::from).filter(|&byte| byte < fair);
        out.extend(fair.map(|byte| alphabet[byte % alphabet.len()]));
    }
    Ok(out.into())
}

fn uuid(random: &Random) -> String {
    let mut bytes = [0; 16];
    random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = super::encoding::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
