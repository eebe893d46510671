//! Keys and certificates: Go reads and verifies ours, says the same of them as of its own, and signs with ours.

use super::host;
use super::oracle::{Case, Oracle, hex};
use serde_json::{Value, json};

fn text(bytes: &[u8]) -> Value {
    json!({ "text": hex(bytes) })
}

/// What a template gives with Sprig's functions: ours.
fn ours(template: &str, data: &Value) -> Vec<u8> {
    let mut case = Case::of(template, data.clone());
    case.sprig = true;
    host::execute(&case).unwrap_or_else(|error| panic!("{template}: {error}"))
}

/// And theirs.
fn theirs(oracle: &mut Oracle, template: &str, data: &Value) -> String {
    let mut case = Case::of(template, data.clone());
    case.sprig = true;
    match oracle.execute(&case) {
        Ok(output) => String::from_utf8(output).unwrap(),
        Err(error) => panic!("{template}: {}", String::from_utf8_lossy(&error)),
    }
}

#[test]
fn keys_of_all_kinds_are_what_go_makes() {
    let mut oracle = Oracle::start();
    for kind in ["", "rsa", "dsa", "ecdsa", "ed25519"] {
        let made = ours(&format!("{{{{ genPrivateKey `{kind}` }}}}"), &Value::Null);
        let said = theirs(&mut oracle, "{{ describeKey .key }}", &json!({ "map": { "key": text(&made) } }));
        // Theirs takes minutes for some of these.
        let expected = match kind {
            "dsa" => "DSA PRIVATE KEY dsa 2048 256 good=true".to_owned(),
            _ => {
                theirs(&mut oracle, &format!("{{{{ genPrivateKey `{kind}` | describeKey }}}}"), &Value::Null)
            }
        };
        assert_eq!(said, expected, "{kind}");
    }
}

#[test]
fn go_knows_passwords_by_our_hashes_and_reads_what_we_encrypt() {
    let mut oracle = Oracle::start();
    for password in ["", "a", "password", "é世", &"x".repeat(71), &"x".repeat(72)] {
        let data = json!({ "map": { "password": text(password.as_bytes()) } });
        let hash = ours("{{ bcrypt .password }}", &data);
        let entry = ours("{{ htpasswd `user` .password }}", &data);
        let secret = ours("{{ encryptAES `key` (cat .password `+`) }}", &data);
        let asked = json!({ "map": {
            "password": text(password.as_bytes()),
            "hash": text(&hash),
            "entry": text(entry.strip_prefix(b"user:").unwrap()),
            "secret": text(&secret),
        } });
        let template = "{{ bcryptMatches .hash .password }} {{ bcryptMatches .entry .password }} \
                        {{ bcryptMatches .hash (cat .password `x` | trunc -72) }} \
                        {{ eq (decryptAES `key` .secret) (cat .password `+`) }}";
        assert_eq!(theirs(&mut oracle, template, &asked), "true true false true", "{password}");
        let secret = theirs(&mut oracle, "{{ encryptAES .password `plain` }}", &data);
        let data =
            json!({ "map": { "password": text(password.as_bytes()), "secret": text(secret.as_bytes()) } });
        assert_eq!(ours("{{ decryptAES .password .secret }}", &data), b"plain", "{password}");
    }
}

/// Templates that make a pair; those of the second kind have a `$ca` before it.
const ALONE: [&str; 14] = [
    "genCA `ca` 365",
    "genCA `*.é.example` 1",
    "genCA `` 10000",
    "genCA `late` -3",
    "genCA `far` 36500",
    "genCA `wrapped` 200000",
    "genCAWithKey `ca` 365 (genPrivateKey `ecdsa`)",
    "genCAWithKey `ca & co` 365 (genPrivateKey `ed25519`)",
    "genSelfSignedCert `host.example` (list `10.0.0.1` `::1` `::ffff:1.2.3.4`) (list `a.example` `*.b.example`) 30",
    "genSelfSignedCert `` (list `127.0.0.1`) nil 1",
    "genSelfSignedCertWithKey `x` nil (list `only.example`) 7 (genPrivateKey `ecdsa`)",
    "genSelfSignedCertWithKey `x` nil nil 7 (genPrivateKey `ed25519`)",
    "genSelfSignedCertWithKey `` nil (list ``) 7 (genPrivateKey `ed25519`)",
    "genCAWithKey `from pkcs8` 5 .p521",
];
const SIGNED: [&str; 6] = [
    "genSignedCert `web` (list `10.0.0.1`) (list `web.example` `web`) 90 $ca",
    "genSignedCert `ca` nil nil 90 $ca",
    "genSignedCert `` nil (list `only.example`) 1 $ca",
    "genSignedCertWithKey `web` nil (list `w.example`) 90 $ca (genPrivateKey `ecdsa`)",
    "genSignedCertWithKey `web` nil nil 90 $ca (genPrivateKey `ed25519`)",
    "genSignedCertWithKey `web` nil (list `w.example`) 90 $ca .p384",
];
const AUTHORITIES: [&str; 4] = [
    "genCA `ca` 365",
    "genCAWithKey `ca` 365 (genPrivateKey `ecdsa`)",
    "genCAWithKey `ca` 365 (genPrivateKey `ed25519`)",
    "genCAWithKey `ca` 365 .p384",
];

/// Keys of curves that Sprig does not make, one in each form.
fn data() -> serde_json::Map<String, Value> {
    let p384 = include_bytes!("keys/p384.pem");
    let p521 = include_bytes!("keys/p521-pkcs8.pem");
    [("p384", text(p384)), ("p521", text(p521))]
        .map(|(name, key)| (name.to_owned(), key))
        .into_iter()
        .collect()
}

/// The certificates and keys that a template writes one after the other, as data.
fn parts(written: &[u8]) -> Vec<Value> {
    written.split(|byte| *byte == 0).map(text).collect()
}

#[test]
fn certificates_say_what_gos_say_and_go_verifies_them() {
    let mut oracle = Oracle::start();
    let data = data();
    let plain = json!({ "map": data });
    for make in ALONE {
        let written = ours(&format!("{{{{ $p := {make} }}}}{{{{ $p.Cert }}}}\0{{{{ $p.Key }}}}"), &plain);
        let [cert, key] = &parts(&written)[..] else { panic!("{make}") };
        let asked = json!({ "map": { "cert": cert, "key": key } });
        let said = theirs(&mut oracle, "{{ describePair .cert .key `` }}", &asked);
        let expected = theirs(
            &mut oracle,
            &format!("{{{{ $p := {make} }}}}{{{{ describePair $p.Cert $p.Key `` }}}}"),
            &plain,
        );
        assert_eq!(said, expected, "{make}");
    }
    for authority in AUTHORITIES {
        for make in SIGNED {
            let made = format!("{{{{ $ca := {authority} }}}}{{{{ $p := {make} }}}}");
            let written =
                ours(&format!("{made}{{{{ $p.Cert }}}}\0{{{{ $p.Key }}}}\0{{{{ $ca.Cert }}}}"), &plain);
            let [cert, key, ca] = &parts(&written)[..] else { panic!("{make}") };
            let asked = json!({ "map": { "cert": cert, "key": key, "ca": ca } });
            let said = theirs(&mut oracle, "{{ describePair .cert .key .ca }}", &asked);
            let expected =
                theirs(&mut oracle, &format!("{made}{{{{ describePair $p.Cert $p.Key $ca.Cert }}}}"), &plain);
            assert_eq!(said, expected, "{authority}: {make}");
        }
    }
}

#[test]
fn each_side_signs_with_the_others_authority_and_key() {
    let mut oracle = Oracle::start();
    let plain = json!({ "map": data() });
    let load = "{{ $ca := buildCustomCert (b64enc .ca) (b64enc .cakey) }}";
    let sign = "{{ $p := genSignedCertWithKey `web` (list `::2`) (list `w.example`) 9 $ca .own }}";
    for authority in AUTHORITIES {
        let make = format!(
            "{{{{ $ca := {authority} }}}}{{{{ $ca.Cert }}}}\0{{{{ $ca.Key }}}}\0{{{{ genPrivateKey `ecdsa` }}}}"
        );
        let of_ours = ours(&make, &plain);
        let of_theirs = theirs(&mut oracle, &make, &plain);
        let mut said = Vec::new();
        for made in [&of_ours[..], of_theirs.as_bytes()] {
            let [ca, ca_key, own] = &parts(made)[..] else { panic!("{authority}") };
            let given = json!({ "map": { "ca": ca, "cakey": ca_key, "own": own } });
            said.push(theirs(
                &mut oracle,
                &format!("{load}{sign}{{{{ describePair $p.Cert $p.Key $ca.Cert }}}}"),
                &given,
            ));
            let written = ours(&format!("{load}{sign}{{{{ $p.Cert }}}}\0{{{{ $p.Key }}}}"), &given);
            let [cert, key] = &parts(&written)[..] else { panic!("{authority}") };
            let asked = json!({ "map": { "cert": cert, "key": key, "ca": ca } });
            said.push(theirs(&mut oracle, "{{ describePair .cert .key .ca }}", &asked));
        }
        assert!(said.iter().all(|one| *one == said[0]), "{authority}\n{}", said.join("\n"));
    }
}

#[test]
fn keys_that_do_not_fit_are_refused_with_gos_words() {
    let mut oracle = Oracle::start();
    let mut data = data();
    data.insert("dsa".into(), text(&ours("{{ genPrivateKey `dsa` }}", &Value::Null)));
    data.insert("x25519".into(), text(include_bytes!("keys/x25519.pem")));
    data.insert("rsa512".into(), text(include_bytes!("keys/rsa512.pem")));
    data.insert("rsapkcs8".into(), text(include_bytes!("keys/rsa2048-pkcs8.pem")));
    let plain = json!({ "map": data });
    let ca = "{{ $ca := genCAWithKey `ca` 1 .p384 }}";
    let swap = "{{ $bad := buildCustomCert (b64enc $ca.Cert) (b64enc (genPrivateKey `ecdsa`)) }}";
    for template in [
        "{{ genCAWithKey `ca` 1 .dsa }}".to_owned(),
        "{{ genCAWithKey `ca` 1 .x25519 }}".to_owned(),
        "{{ genCAWithKey `ca` 1 .rsa512 }}".to_owned(),
        "{{ (genCAWithKey `ca` 1 .rsapkcs8).Key }}".to_owned(),
        "{{ (genCAWithKey `ca` 1 .p384).Key }}".to_owned(),
        "{{ (genCAWithKey `ca` 1 .p521).Key }}".to_owned(),
        "{{ genCAWithKey `ca` 1 (.p384 | replace `EC ` `RSA `) }}".to_owned(),
        "{{ genCAWithKey .no_utf8 1 .p384 }}".to_owned(),
        format!("{ca}{{{{ genSignedCertWithKey `a` nil nil 1 $ca .dsa }}}}"),
        format!("{ca}{swap}{{{{ genSignedCertWithKey `a` nil nil 1 $bad .p384 }}}}"),
        format!("{ca}{{{{ (buildCustomCert (b64enc $ca.Cert) (b64enc .dsa)).Key }}}}"),
        format!("{ca}{{{{ (buildCustomCert (b64enc $ca.Cert) (b64enc .x25519)).Key }}}}"),
        format!("{ca}{{{{ buildCustomCert (b64enc (trunc 100 $ca.Cert)) (b64enc .p384) }}}}"),
    ] {
        let mut case = Case::of(template, plain.clone());
        case.data["map"]["no_utf8"] = text(b"a\xff");
        case.sprig = true;
        if let Some(different) = super::difference(&mut oracle, &case) {
            panic!("{different}");
        }
    }
}
