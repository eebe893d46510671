//! Generators, transformers and validators of the builtin kinds, inline, in files and in folders.

use super::patches::indented;
use super::{Files, Numbers};

const TRANSFORMERS: &[&str] = &[
    "apiVersion: builtin\nkind: PrefixTransformer\nmetadata:\n  name: t\nprefix: t-\nfieldSpecs:\n- path: metadata/name\n",
    "apiVersion: builtin\nkind: LabelTransformer\nmetadata:\n  name: t\nlabels:\n  t: u\nfieldSpecs:\n- path: spec/extra\n  create: true\n",
    "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata:\n  name: t\n  namespace: prod\nunsetOnly: true\n",
    "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata:\n  name: t\n  namespace: prod\nsetRoleBindingSubjects: allServiceAccounts\nfieldSpecs:\n- path: metadata/namespace\n  create: true\n",
    "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata:\n  name: t\nannotations:\n  t: 'yes'\nfieldSpecs:\n- path: metadata/annotations\n  create: true\n",
    "apiVersion: builtin\nkind: ImageTagTransformer\nmetadata:\n  name: t\nimageTag:\n  name: nginx\n  newTag: t\nfieldSpecs:\n- path: spec/image\n",
    "apiVersion: builtin\nkind: ReplicaCountTransformer\nmetadata:\n  name: t\nreplica:\n  name: web\n  count: 7\nfieldSpecs:\n- path: spec/replicas\n  create: true\n",
    "apiVersion: builtin\nkind: PatchTransformer\nmetadata:\n  name: t\ntarget:\n  kind: Widget\npatch: '[{\"op\": \"add\", \"path\": \"/spec\", \"value\": {\"z\": 1}}]'\n",
    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata:\n  name: t\nvalue: v\ntargets:\n- fieldPath: spec/text\n",
    "apiVersion: builtin\nkind: SuffixTransformer\nmetadata:\n  name: t\nsuffix: -t\nfieldSpecs:\n- path: metadata/name\n  kind: ConfigMap\n",
    "apiVersion: builtin\nkind: HashTransformer\nmetadata:\n  name: t\n",
    "apiVersion: builtin\nkind: LabelTransformer\nmetadata:\n  name: t\nlabels:\n  app: t\nfieldSpecs:\n- path: metadata/labels\n  create: true\n- path: spec/template/metadata/labels\n  kind: Deployment\n  create: true\n- path: spec/selector/matchLabels\n  kind: Deployment\n  create: true\n",
    "apiVersion: builtin\nkind: PatchStrategicMergeTransformer\nmetadata:\n  name: t\npatches: |-\n  apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: web\n  data:\n    a: 5\n",
    "apiVersion: builtin\nkind: PatchJson6902Transformer\nmetadata:\n  name: t\ntarget:\n  kind: Service\n  name: web\njsonOp: |-\n  - op: add\n    path: /spec/type\n    value: x\n",
    "apiVersion: builtin\nkind: ReplacementTransformer\nmetadata:\n  name: t\nreplacements:\n- sourceValue: v\n  targets:\n  - select:\n      kind: Widget\n    fieldPaths:\n    - spec.text\n",
    "apiVersion: builtin\nkind: PatchTransformer\nmetadata:\n  name: t\npatch: |-\n  apiVersion: apps/v1\n  kind: Deployment\n  metadata:\n    name: any\n  spec:\n    paused: true\ntarget:\n  kind: Deployment\n",
    "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata:\n  name: t\n  namespace: test\nsetRoleBindingSubjects: none\nfieldSpecs:\n- path: webhooks[]/clientConfig/service/namespace\n  kind: ValidatingWebhookConfiguration\n",
    "apiVersion: builtin\nkind: PrefixSuffixTransformer\nmetadata:\n  name: t\nprefix: u-\nfieldSpecs:\n- path: metadata/name\n",
    "apiVersion: builtin\nkind: NoTransformer\nmetadata:\n  name: t\n",
    "apiVersion: example.com/v1\nkind: Program\nmetadata:\n  name: t\n",
    "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata:\n  name: t\nvalue: v\ntargets:\n- selector:\n    kind: ConfigMap\n  fieldPath: metadata/name\n  filePathPosition: 1\n",
];

const GENERATORS: &[&str] = &[
    "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata:\n  name: from-plugin\nliterals:\n- a=1\n- b=x\n",
    "apiVersion: builtin\nkind: SecretGenerator\nmetadata:\n  name: from-plugin\n  namespace: prod\nliterals:\n- a=1\ntype: Opaque\n",
    "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata:\n  name: web\nbehavior: merge\nliterals:\n- a=merged\n",
    "apiVersion: builtin\nkind: ConfigMapGenerator\nname: named\nmetadata:\n  name: t\nliterals: [k=v]\noptions:\n  disableNameSuffixHash: true\n",
    "apiVersion: builtin\nkind: IAMPolicyGenerator\nmetadata:\n  name: t\ncloud: gke\nkubernetesService:\n  name: k\nserviceAccount:\n  name: g\n  projectId: p\n",
];

/// Transformers that change something are no validators.
const VALIDATORS: &[&str] = &[
    "apiVersion: builtin\nkind: LabelTransformer\nmetadata:\n  name: t\nlabels:\n  t: u\nfieldSpecs:\n- path: spec/nowhere/at/all\n",
    "apiVersion: builtin\nkind: PrefixTransformer\nmetadata:\n  name: t\nprefix: t-\nfieldSpecs:\n- path: spec/nowhere\n",
    "apiVersion: builtin\nkind: LabelTransformer\nmetadata:\n  name: t\nlabels:\n  t: u\nfieldSpecs:\n- path: metadata/labels\n  create: true\n",
];

/// The configuration inline, in a file, or in a folder with a kustomization of its own.
fn placed(n: &mut Numbers, files: &mut Files, path: &str, field: &str, body: &str) -> String {
    match n.below(4) {
        0 => {
            files.insert(format!("{path}/{field}.yaml"), body.to_owned());
            format!("{field}:\n- {field}.yaml\n")
        }
        1 => {
            let folder = format!("{path}-{field}");
            files.insert(format!("{folder}/plugin.yaml"), body.to_owned());
            let more = n.pick(&["", "namePrefix: a-\n", "commonLabels:\n  app: plugin\n"]);
            files
                .insert(format!("{folder}/kustomization.yaml"), format!("resources:\n- plugin.yaml\n{more}"));
            format!("{field}:\n- ../{folder}\n")
        }
        _ => format!("{field}:\n- |-\n{}", indented(body, "  ")),
    }
}

pub(super) fn transformers(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let mut body = n.pick(TRANSFORMERS).to_owned();
    if n.one_in(6) {
        body = format!("{body}---\n{}", n.pick(TRANSFORMERS).replace("name: t\n", "name: second\n"));
    }
    placed(n, files, path, "transformers", &body)
}

pub(super) fn generators(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let body = n.pick(GENERATORS);
    placed(n, files, path, "generators", body)
}

pub(super) fn validators(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let body = n.pick(VALIDATORS);
    placed(n, files, path, "validators", body)
}
