//! Whether a delivery knows the secret that it has to know. Secrets and signatures are compared in a time that does not
//! depend on where they differ.

use super::forge::Forge;
use aws_lc_rs::{constant_time, hmac};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What a delivery offers as proof.
pub(super) enum Proof {
    /// HMAC-SHA-256 of the body.
    Signature(Vec<u8>),
    /// The secret itself.
    Token(Vec<u8>),
}

impl Proof {
    /// The proof that a forge sends.
    ///
    /// # Errors
    /// There is none, or it cannot be read: which header it should be in.
    pub(super) fn of(forge: Forge, headers: &HeaderMap) -> Result<Self, &'static str> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let hub = |name: &str| header(name)?.strip_prefix("sha256=").and_then(unhex).map(Self::Signature);
        match forge {
            Forge::GitHub => hub("x-hub-signature-256").ok_or("X-Hub-Signature-256: sha256=…"),
            Forge::Bitbucket => hub("x-hub-signature").ok_or("X-Hub-Signature: sha256=…"),
            Forge::Gitea => {
                let signature = header("x-gitea-signature").or_else(|| header("x-forgejo-signature"));
                signature.and_then(unhex).map(Self::Signature).ok_or("X-Gitea-Signature")
            }
            Forge::GitLab => {
                let token = header("x-gitlab-token").map(|token| Self::Token(token.into()));
                token.ok_or("X-Gitlab-Token")
            }
            Forge::AzureDevOps => {
                let password = header(AUTHORIZATION.as_str()).and_then(basic_password);
                password.map(Self::Token).ok_or("Authorization: Basic …")
            }
            Forge::Generic => {
                let bearer =
                    || Some(Self::Token(header(AUTHORIZATION.as_str())?.strip_prefix("Bearer ")?.into()));
                hub("x-hub-signature-256")
                    .or_else(bearer)
                    .ok_or("X-Hub-Signature-256: sha256=…, or Authorization: Bearer …")
            }
        }
    }

    /// Whether whoever made it knows the secret.
    pub(super) fn knows(&self, secret: &str, body: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        match self {
            Self::Signature(signature) => hmac::verify(&key, body, signature).is_ok(),
            // Hashed first, so that not even the length of the secret shows.
            Self::Token(token) => {
                let (theirs, ours) = (hmac::sign(&key, token), hmac::sign(&key, secret.as_bytes()));
                constant_time::verify_slices_are_equal(theirs.as_ref(), ours.as_ref()).is_ok()
            }
        }
    }
}

fn basic_password(value: &str) -> Option<Vec<u8>> {
    let decoded = BASE64_STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let whole = text.len().is_multiple_of(2) && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let bytes = || {
        text.as_bytes().chunks(2).map_while(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
    };
    whole.then(|| bytes().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(hex: &str) -> Proof {
        Proof::Signature(unhex(hex).unwrap())
    }

    #[test]
    fn a_signature_is_the_one_that_github_documents() {
        // The example of "Validating webhook deliveries" in GitHub's documentation.
        let documented = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let (secret, body) = ("It's a Secret to Everybody", b"Hello, World!");
        assert!(signature(documented).knows(secret, body));
        assert!(!signature(documented).knows("another", body));
        assert!(!signature(documented).knows(secret, b"Hello, World?"));
        assert!(!signature(&documented[..62]).knows(secret, body), "a part of a signature is none");
        assert!(!Proof::Signature(Vec::new()).knows(secret, body));
    }

    #[test]
    fn a_token_is_the_whole_secret() {
        for (token, right) in [("hush", true), ("hus", false), ("hush!", false), ("", false)] {
            assert_eq!(Proof::Token(token.into()).knows("hush", b""), right, "{token}");
        }
    }

    #[test]
    fn what_is_not_hexadecimal_is_no_signature() {
        for text in ["0", "zz", "+1", "0 ", "abc", "é"] {
            assert_eq!(unhex(text), None, "{text}");
        }
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
    }
}
