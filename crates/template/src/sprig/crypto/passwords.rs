//! Passwords that are hashed or derived, and texts that are encrypted.

use super::{CUSTOM, private_key};
use crate::context::Context;
use crate::error::Failure;
use crate::function::{Arguments, Function, Functions, InvalidSignature};
use crate::sprig::encoding::{base64, decode64};
use crate::sprig::{Entry, Random};
use crate::value::Value;
use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::rc::Rc;

/// What a hash or a derivation costs, in steps: about as long as they take.
const BCRYPT: u64 = 500_000;
const SCRYPT: u64 = 1_000_000;

const BLOCK: usize = 16;

pub(in crate::sprig) const TABLE: &[Entry] = &[
    (&["derivePassword"], "func(uint32, string, string, string, string) string", derive),
    (&["decryptAES"], "func(string, string) (string, error)", |_, arguments| {
        decrypt(arguments.text(0)?, arguments.text(1)?).map(Value::from)
    }),
    // Helm answers so where names are not to be looked up.
    (&["getHostByName"], "func(string) string", |_, _| Ok("".into())),
    CUSTOM,
];

/// `bcrypt`, `htpasswd`, `encryptAES` and `genPrivateKey`.
pub(in crate::sprig) fn password_functions(random: &Random) -> Result<Functions, InvalidSignature> {
    let mut functions = Functions::new();
    let own = Rc::clone(random);
    functions.insert(
        "bcrypt",
        Function::new("func(string) string", move |context, arguments| {
            Ok(hash(context, &own, arguments.text(0)?)?.into())
        })?,
    );
    let own = Rc::clone(random);
    functions.insert(
        "htpasswd",
        Function::new("func(string, string) string", move |context, arguments| {
            let user = arguments.text(0)?;
            if user.contains(&b':') {
                return Ok([b"invalid username: ", &user[..]].concat().into());
            }
            let hash = hash(context, &own, arguments.text(1)?)?;
            Ok([&user[..], b":", hash.as_bytes()].concat().into())
        })?,
    );
    let own = Rc::clone(random);
    functions.insert(
        "encryptAES",
        Function::new("func(string, string) (string, error)", move |context, arguments| {
            let text = arguments.text(1)?;
            context.write(text.len() * 4 / 3 + 2 * BLOCK)?;
            Ok(encrypt(&own, arguments.text(0)?, text).into())
        })?,
    );
    let own = Rc::clone(random);
    functions.insert(
        "genPrivateKey",
        Function::new("func(string) string", move |context, arguments| {
            private_key(context, &own, arguments.text(0)?)
        })?,
    );
    Ok(functions)
}

/// A password's hash of ten rounds, in the alphabet and order of bcrypt; what goes wrong is the result.
fn hash(context: &mut Context<'_>, random: &Random, password: &[u8]) -> Result<String, Failure> {
    const MOST: usize = 72;
    const ROUNDS: u32 = 10;
    if password.len() > MOST {
        return Ok(
            "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".to_owned()
        );
    }
    context.spend(BCRYPT)?;
    let mut salt = [0; 16];
    random(&mut salt);
    let mut key = [password, &[0]].concat();
    key.truncate(MOST);
    let hash = bcrypt::bcrypt(ROUNDS, salt, &key);
    Ok(format!("$2a${ROUNDS}${}{}", digits(&salt), digits(&hash[..23])))
}

/// Base64 in bcrypt's alphabet, without what fills it up.
fn digits(bytes: &[u8]) -> String {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const OWN: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let place = |digit: &u8| STANDARD.iter().position(|known| known == digit);
    base64(bytes).iter().filter_map(|digit| place(digit).map(|at| char::from(OWN[at]))).collect()
}

/// The key is the password's beginning, filled up with zeros.
fn cipher(password: &[u8]) -> Aes256 {
    let mut key = [0; 32];
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    Aes256::new(&key.into())
}

/// AES-256 in CBC mode, its first block random, filled up as PKCS #7 has it; in base64.
fn encrypt(random: &Random, password: &[u8], text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let cipher = cipher(password);
    let fill = BLOCK - text.len() % BLOCK;
    let plain = [text, &vec![u8::try_from(fill).unwrap_or_default(); fill]].concat();
    let mut last = [0; BLOCK];
    random(&mut last);
    let mut out = last.to_vec();
    for chunk in plain.chunks(BLOCK) {
        let mut block = Block::<Aes256>::default();
        for ((into, byte), mask) in block.iter_mut().zip(chunk).zip(last) {
            *into = byte ^ mask;
        }
        cipher.encrypt_block(&mut block);
        out.extend_from_slice(&block);
        last.copy_from_slice(&block);
    }
    base64(&out)
}

/// What [`encrypt`] made. Sprig checks nothing but what its runtime does.
fn decrypt(password: &[u8], text: &[u8]) -> Result<Vec<u8>, Failure> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let crypt =
        decode64(text).map_err(|at| Failure::new(format!("illegal base64 data at input byte {at}")))?;
    let Some((first, crypt)) = crypt.split_at_checked(BLOCK) else {
        let capacity = text.len() / 4 * 3;
        return Err(format!("runtime error: slice bounds out of range [:16] with capacity {capacity}").into());
    };
    if crypt.len() % BLOCK != 0 {
        return Err("crypto/cipher: input not full blocks".into());
    }
    let cipher = cipher(password);
    let mut plain = Vec::with_capacity(crypt.len());
    let mut last = first;
    for chunk in crypt.chunks_exact(BLOCK) {
        let mut block = Block::<Aes256>::default();
        block.copy_from_slice(chunk);
        cipher.decrypt_block(&mut block);
        plain.extend(block.iter().zip(last).map(|(byte, mask)| byte ^ mask));
        last = chunk;
    }
    let Some(fill) = plain.last().copied() else {
        return Err("runtime error: index out of range [-1]".into());
    };
    let Some(length) = plain.len().checked_sub(fill.into()) else {
        let below = plain.len().wrapping_sub(fill.into()).cast_signed();
        return Err(format!("runtime error: slice bounds out of range [:{below}]").into());
    };
    plain.truncate(length);
    Ok(plain)
}

/// The forms of a kind of password: each letter stands for a set of characters.
fn forms(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

fn characters(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        b'x' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
        _ => b"0123456789",
    }
}

/// `derivePassword(counter, kind, password, user, site)`: the master password scheme.
fn derive(context: &mut Context<'_>, arguments: &Arguments) -> Result<Value, Failure> {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let Value::Uint(_, counter) = arguments.any(0) else { return Err("the counter is no number".into()) };
    // A constant that does not fit wraps around.
    let counter = &counter.to_be_bytes()[4..];
    let kind = arguments.text(1)?;
    let Some(forms) = forms(kind) else {
        return Ok([b"cannot find password template ", &kind[..]].concat().into());
    };
    context.spend(SCRYPT)?;
    let (password, user, site) = (arguments.text(2)?, arguments.text(3)?, arguments.text(4)?);
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = [SEED, &length(user), user].concat();
    let mut key = [0; 64];
    let derived = scrypt::Params::new(15, 8, 2).map(|how| scrypt::scrypt(password, &salt, &how, &mut key));
    if !matches!(derived, Ok(Ok(()))) {
        return Err("failed to derive password".into());
    }
    let mut code = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| "failed to derive password")?;
    code.update(&[SEED, &length(site), site, counter].concat());
    let seed = code.finalize().into_bytes();
    let form = forms[usize::from(seed[0]) % forms.len()];
    let made = form.bytes().zip(&seed[1..]).map(|(letter, byte)| {
        let characters = characters(letter);
        characters[usize::from(*byte) % characters.len()]
    });
    Ok(made.collect::<Vec<u8>>().into())
}
