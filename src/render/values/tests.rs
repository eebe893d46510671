use super::*;
use crate::render::helm::{Pass, Place};
use crate::render::lookups::{Answer, Answers};
use crate::render::{Given, build};
use expect_test::{Expect, expect};
use serde_json::json;
use trueup_helm::{Crds, Schemas};
use trueup_model::MemoryTree;
use trueup_model::provenance::annotated;

fn tree() -> Arc<dyn Tree> {
    Arc::new(MemoryTree::from_iter([
        ("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.3\n"),
        ("web/values.yaml", "image: {tag: v1, name: web}\nports: [80, 81]\nreplicas: 1\n"),
        ("web/charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n"),
        ("web/charts/db/values.yaml", "size: small\n"),
        (
            "web/templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {v: '{{ .Values.replicas }} {{ .Values.password }}'}\n",
        ),
        (
            "web/templates/b.yaml",
            "{{ if .Values.bad }}{{ fail (printf \"no %s\" .Values.password) }}{{ end }}\n",
        ),
        ("values/one.yaml", "# of all\nimage:\n  tag: v2\nglobal:\n  region: eu\n"),
    ]))
}

fn object(kind: &str, name: &str, data: &Value) -> (Query, Answer) {
    let mut data = data.clone();
    if kind == "Secret" {
        for value in data.as_object_mut().unwrap().values_mut() {
            *value = BASE64_STANDARD.encode(value.as_str().unwrap()).into();
        }
    }
    let found = json!({"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": "7"}, "data": data});
    (Query::core(kind, "shop", name), Answer::of(Some(found)))
}

fn from(holder: Holder, name: &str, key: &str) -> ValuesFrom {
    let (name, key) = (name.to_owned(), key.to_owned());
    ValuesFrom { holder, name, key, target_path: None, need: Need::Required }
}

fn request(values_from: Vec<ValuesFrom>, objects: &[(Query, Answer)]) -> Request {
    let helm = Helm {
        place: Place::Tree("web".to_owned()),
        release: "rel".to_owned(),
        cluster: "here".to_owned(),
        namespace: "shop".to_owned(),
        values_files: vec!["values/one.yaml".to_owned()],
        values: read_values("replicas: 2\nlabels: {}").unwrap(),
        values_from,
        crds: Crds::Included,
        schemas: Schemas::Checked,
        api_versions: Vec::new(),
        pass: Pass::Straight,
    };
    let answers = Answers::Known(objects.iter().cloned().collect());
    Request { helm: Some(Arc::new(helm)), ..Request::default() }.with(Given { answers, ..Given::default() })
}

fn merged(request: &Request) -> Result<Merged, Unrendered> {
    build_values(tree(), request, &Parsed::default(), &Bases::new())
}

fn refused(request: &Request) -> String {
    build(tree(), request).unwrap_err().to_string()
}

fn check(request: &Request, wanted: &Expect) {
    let (values, sources) = merged(request).unwrap().shown(&[7; 32]);
    wanted.assert_eq(&annotated(&values, &sources));
}

#[test]
fn each_value_is_told_with_the_last_source_that_gives_it_and_a_secret_s_values_are_hashes() {
    let objects = [
        object(
            "ConfigMap",
            "web",
            &json!({"values.yaml": "ports: [443]\nreplicas: 3\ndb:\n  size: large\n"}),
        ),
        object("Secret", "web", &json!({"prod.yaml": "password: swordfish\nkeys: [swordfish]\n"})),
    ];
    let from = vec![from(Holder::ConfigMap, "web", "values.yaml"), from(Holder::Secret, "web", "prod.yaml")];
    check(
        &request(from, &objects),
        &expect![[r"
            db:
              global:
                region: eu             # values/one.yaml:5
              size: large              # ConfigMap shop/web values.yaml:4
            global:
              region: eu               # values/one.yaml:5
            image:
              name: web                # chart web
              tag: v2                  # values/one.yaml:3
            keys:
            - <hash 0ceb83c9>          # Secret shop/web prod.yaml:2
            labels: {}                 # helm.values
            password: <hash 0ceb83c9>  # Secret shop/web prod.yaml:1
            ports:
            - 443                      # ConfigMap shop/web values.yaml:1
            replicas: 3                # ConfigMap shop/web values.yaml:2
        "]],
    );
}

#[test]
fn one_value_goes_where_its_path_says_typed_by_its_look_unless_it_is_quoted() {
    let place = |key: &str, path: &str| ValuesFrom {
        target_path: Some(path.to_owned()),
        ..from(Holder::ConfigMap, "web", key)
    };
    let data = json!({"n": "3", "q": "'3'", "list": "a,{b}\\", "braces": "{x}"});
    let objects = [object("ConfigMap", "web", &data)];
    let from = vec![
        place("n", "replicas"),
        place("q", "image.tag"),
        place("list", "text"),
        place("braces", "ports[1]"),
    ];
    let rendered = merged(&request(from, &objects)).unwrap().shown(&[7; 32]).0;
    assert_eq!(rendered["replicas"], 3);
    assert_eq!(rendered["image"], json!({"name": "web", "tag": "3"}));
    assert_eq!(rendered["text"], "a,{b}\\");
    assert_eq!(rendered["ports"][1], "{x}");
    let wrong = request(vec![place("n", "image.tag.deep")], &objects);
    assert!(refused(&wrong).contains("targetPath image.tag.deep does not fit"), "{}", refused(&wrong));
}

#[test]
fn what_is_missing_is_told_with_cluster_namespace_kind_name_and_key() {
    let secret = from(Holder::Secret, "db", "values.yaml");
    let gone = [(Query::core("Secret", "shop", "db"), Answer::of(None))];
    assert_eq!(
        refused(&request(vec![secret.clone()], &gone)),
        "helm.valuesFrom: cluster here: there is no Secret shop/db to take the key values.yaml of"
    );
    let optional = ValuesFrom { need: Need::Optional, ..secret.clone() };
    assert!(build(tree(), &request(vec![optional.clone()], &gone)).is_ok());
    // A key that is missing is a mistake all the same.
    let other = [object("Secret", "db", &json!({"other": ""}))];
    for from in [secret.clone(), optional] {
        assert_eq!(
            refused(&request(vec![from], &other)),
            "helm.valuesFrom: cluster here: Secret shop/db has no key values.yaml"
        );
    }
    let unasked = merged(&request(vec![secret], &[])).unwrap_err();
    assert!(matches!(unasked, Unrendered::Unasked(queries) if queries.0.len() == 1));
}

#[test]
fn values_that_cannot_be_read_are_told_with_their_line_and_no_word_of_a_secret() {
    let key = "values.yaml";
    for (kind, holder) in [("Secret", Holder::Secret), ("ConfigMap", Holder::ConfigMap)] {
        for text in ["a: 1\nb: [swordfish\n", "- swordfish\n"] {
            let objects = [object(kind, "db", &json!({key: text}))];
            let why = refused(&request(vec![from(holder, "db", key)], &objects));
            assert!(why.contains(&format!("cluster here: {kind} shop/db: key {key}: line ")), "{why}");
            assert!(!why.contains("swordfish"), "{why}");
        }
    }
}

#[test]
fn an_error_of_a_template_quotes_no_secret() {
    let objects = [object("Secret", "web", &json!({"values.yaml": "bad: true\npassword: swordfish\n"}))];
    let why = refused(&request(vec![from(Holder::Secret, "web", "values.yaml")], &objects));
    assert!(why.contains("no ***") && !why.contains("swordfish"), "{why}");
}
