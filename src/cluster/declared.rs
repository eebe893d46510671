//! Clusters as Argo CD declares them in Secrets: pure, from the keys of a Secret to a kubeconfig.
//!
//! Enters: `name`, `server` and `config` of a Secret with the label `argocd.argoproj.io/secret-type: cluster`, as Argo CD's documentation of declarative set-up has
//! them. Leaves: the text of a kubeconfig that says the same. Absent: reading the Secret, and what in it is not about reaching the cluster: `namespaces`,
//! `clusterResources`, `project` and `shard`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What Argo CD keeps under `config`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    username: Option<String>,
    password: Option<String>,
    bearer_token: Option<String>,
    #[serde(rename = "tlsClientConfig")]
    tls: Tls,
    #[serde(rename = "awsAuthConfig")]
    aws: Option<Aws>,
    #[serde(rename = "execProviderConfig")]
    exec: Option<Exec>,
    proxy_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tls {
    insecure: bool,
    server_name: Option<String>,
    ca_data: Option<String>,
    cert_data: Option<String>,
    key_data: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aws {
    #[serde(default)]
    cluster_name: String,
    #[serde(rename = "roleARN", default)]
    role: String,
    #[serde(default)]
    profile: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    #[serde(default)]
    command: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    install_hint: String,
}

/// The API that `aws eks get-token` answers with.
const AWS_API: &str = "client.authentication.k8s.io/v1beta1";

/// Whether a Secret declares a cluster in this way.
pub fn is_declared(data: &BTreeMap<String, String>) -> bool {
    data.contains_key("server") && data.contains_key("config")
}

/// A kubeconfig that says what the Secret says.
///
/// # Errors
/// What cannot be read of it, or does not go together. Values are never told.
pub fn kubeconfig(data: &BTreeMap<String, String>) -> Result<String, String> {
    let server = data.get("server").map(|server| server.trim()).filter(|server| !server.is_empty());
    let server = server.ok_or("the key server is empty")?;
    let text = data.get("config").map_or("", String::as_str);
    // What serde says of a text that is no JSON has a line and a column; what it says of a wrong type has the value.
    let config: Value = serde_json::from_str(text).map_err(|error| {
        format!("the key config is no JSON (line {}, column {})", error.line(), error.column())
    })?;
    let config: Config = serde_json::from_value(config).map_err(|_| {
        "the key config is JSON, and not what Argo CD reads: a field has another type".to_owned()
    })?;
    let cluster = cluster(server, &config)?;
    let user = user(config)?;
    let name = data.get("name").map_or("cluster", String::as_str);
    Ok(json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    })
    .to_string())
}

/// A mapping of those fields that say something.
fn said<const N: usize>(fields: [(&str, Option<&String>); N]) -> Map<String, Value> {
    let said =
        fields.into_iter().filter_map(|(name, value)| Some((name, value.filter(|text| !text.is_empty())?)));
    said.map(|(name, value)| (name.to_owned(), value.clone().into())).collect()
}

fn cluster(server: &str, config: &Config) -> Result<Value, String> {
    let tls = &config.tls;
    if tls.insecure && tls.ca_data.as_ref().is_some_and(|ca| !ca.is_empty()) {
        return Err("tlsClientConfig says both insecure and caData: take one of the two".to_owned());
    }
    let mut cluster = said([
        ("certificate-authority-data", tls.ca_data.as_ref()),
        ("tls-server-name", tls.server_name.as_ref()),
        ("proxy-url", config.proxy_url.as_ref()),
    ]);
    cluster.insert("server".to_owned(), server.into());
    if tls.insecure {
        cluster.insert("insecure-skip-tls-verify".to_owned(), true.into());
    }
    Ok(cluster.into())
}

fn user(config: Config) -> Result<Value, String> {
    let tls = &config.tls;
    let mut user = said([
        ("username", config.username.as_ref()),
        ("password", config.password.as_ref()),
        ("token", config.bearer_token.as_ref()),
        ("client-certificate-data", tls.cert_data.as_ref()),
        ("client-key-data", tls.key_data.as_ref()),
    ]);
    match (config.exec, config.aws) {
        (Some(_), Some(_)) => {
            return Err("it says both execProviderConfig and awsAuthConfig: take one of the two".to_owned());
        }
        (Some(exec), None) => drop(user.insert("exec".to_owned(), program(exec)?)),
        (None, Some(aws)) => drop(user.insert("exec".to_owned(), of_aws(&aws)?)),
        (None, None) => {}
    }
    Ok(user.into())
}

fn program(exec: Exec) -> Result<Value, String> {
    if exec.command.is_empty() {
        return Err("execProviderConfig names no command".to_owned());
    }
    let env: Vec<Value> =
        exec.env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut program =
        said([("apiVersion", Some(&exec.api_version)), ("installHint", Some(&exec.install_hint))]);
    program.extend([
        ("command".to_owned(), exec.command.into()),
        ("args".to_owned(), exec.args.into()),
        ("env".to_owned(), env.into()),
        ("interactiveMode".to_owned(), "Never".into()),
    ]);
    Ok(program.into())
}

/// Argo CD has a program of its own for this; `aws eks get-token` gives the same tokens.
fn of_aws(aws: &Aws) -> Result<Value, String> {
    if aws.cluster_name.is_empty() {
        return Err("awsAuthConfig names no clusterName".to_owned());
    }
    let mut args = vec!["eks", "get-token", "--output", "json", "--cluster-name", &aws.cluster_name];
    for (option, value) in [("--role-arn", &aws.role), ("--profile", &aws.profile)] {
        if !value.is_empty() {
            args.extend([option, value.as_str()]);
        }
    }
    Ok(json!({"apiVersion": AWS_API, "command": "aws", "args": args, "interactiveMode": "Never"}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(config: &str, expected: &Expect) {
        let data = [("name", "eu-1"), ("server", "https://10.0.0.1:6443"), ("config", config)];
        let data = data.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let told = match kubeconfig(&data) {
            Ok(text) => {
                let all: Value = serde_json::from_str(&text).unwrap();
                // It is what kube reads.
                kube::config::Kubeconfig::from_yaml(&text).unwrap();
                format!("{}\n{}", all["clusters"][0]["cluster"], all["users"][0]["user"])
            }
            Err(why) => why,
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn a_token_and_an_authority() {
        check(
            r#"{"bearerToken": "t0ken", "tlsClientConfig": {"insecure": false, "caData": "Q0E=", "serverName": "api"}}"#,
            &expect![[r#"
                {"certificate-authority-data":"Q0E=","server":"https://10.0.0.1:6443","tls-server-name":"api"}
                {"token":"t0ken"}"#]],
        );
    }

    #[test]
    fn a_certificate_a_name_and_a_proxy() {
        check(
            r#"{"username": "ann", "password": "p", "proxyUrl": "http://proxy:3128", "disableCompression": true, "tlsClientConfig": {"insecure": true, "certData": "QQ==", "keyData": "Qg=="}}"#,
            &expect![[r#"
                {"insecure-skip-tls-verify":true,"proxy-url":"http://proxy:3128","server":"https://10.0.0.1:6443"}
                {"client-certificate-data":"QQ==","client-key-data":"Qg==","password":"p","username":"ann"}"#]],
        );
    }

    #[test]
    fn programs_that_give_tokens() {
        check(
            r#"{"execProviderConfig": {"command": "argocd-k8s-auth", "args": ["gcp"], "env": {"A": "1"}, "apiVersion": "client.authentication.k8s.io/v1beta1"}}"#,
            &expect![[r#"
                {"server":"https://10.0.0.1:6443"}
                {"exec":{"apiVersion":"client.authentication.k8s.io/v1beta1","args":["gcp"],"command":"argocd-k8s-auth","env":[{"name":"A","value":"1"}],"interactiveMode":"Never"}}"#]],
        );
        check(
            r#"{"awsAuthConfig": {"clusterName": "shop", "roleARN": "arn:aws:iam::1:role/x"}, "tlsClientConfig": {"caData": "Q0E="}}"#,
            &expect![[r#"
                {"certificate-authority-data":"Q0E=","server":"https://10.0.0.1:6443"}
                {"exec":{"apiVersion":"client.authentication.k8s.io/v1beta1","args":["eks","get-token","--output","json","--cluster-name","shop","--role-arn","arn:aws:iam::1:role/x"],"command":"aws","interactiveMode":"Never"}}"#]],
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_a_value() {
        check(r#"{"bearerToken": "t0ken""#, &expect!["the key config is no JSON (line 1, column 23)"]);
        check(
            r#"{"bearerToken": "t0ken", "tlsClientConfig": "s3cret"}"#,
            &expect!["the key config is JSON, and not what Argo CD reads: a field has another type"],
        );
        check(
            r#"{"tlsClientConfig": {"insecure": true, "caData": "Q0E="}}"#,
            &expect!["tlsClientConfig says both insecure and caData: take one of the two"],
        );
        check(
            r#"{"execProviderConfig": {"command": "a"}, "awsAuthConfig": {"clusterName": "b"}}"#,
            &expect!["it says both execProviderConfig and awsAuthConfig: take one of the two"],
        );
        check(r#"{"execProviderConfig": {}}"#, &expect!["execProviderConfig names no command"]);
        check(r#"{"awsAuthConfig": {}}"#, &expect!["awsAuthConfig names no clusterName"]);
    }
}
