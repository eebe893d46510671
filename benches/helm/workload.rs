//! The charts that both render.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Subcharts of the umbrella.
const SUBCHARTS: usize = 100;

/// A chart, and what is said of it.
pub(crate) struct Subject {
    pub(crate) title: String,
    /// A folder, or a packed chart.
    pub(crate) chart: PathBuf,
}

/// All charts: real ones where they are at hand, and those that are made below `folder`.
pub(crate) fn subjects(conformance: &Path, folder: &Path) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    let small = folder.join("small");
    chart(&small, "small", "", &["deployment", "service", "settings"])?;
    subjects.push(Subject { title: "a small chart: 3 templates".to_owned(), chart: small });
    let real = [
        ("a real exporter", "prometheus-community_prometheus-json-exporter"),
        ("ingress-nginx", "kubernetes_ingress-nginx"),
        ("prometheus-operator-crds, the largest", "prometheus-community_prometheus-operator-crds"),
    ];
    for (title, name) in real {
        let chart = conformance.join(name).join("chart.tgz");
        if chart.is_file() {
            subjects.push(Subject { title: title.to_owned(), chart });
        } else {
            eprintln!("the conformance cases are missing: there is no {}", chart.display());
        }
    }
    let umbrella = folder.join("umbrella");
    let mut dependencies = "dependencies:\n".to_owned();
    for index in 0..SUBCHARTS {
        let name = format!("part-{index:03}");
        // Writing to a String cannot fail.
        let _ = writeln!(
            dependencies,
            "  - {{name: {name}, version: 1.2.3, condition: {name}.enabled, repository: ''}}"
        );
        chart(&umbrella.join("charts").join(&name), &name, "", &["deployment", "service", "settings"])?;
    }
    chart(&umbrella, "umbrella", &dependencies, &["settings"])?;
    let title = format!("an umbrella of {SUBCHARTS} subcharts");
    subjects.push(Subject { title, chart: umbrella });
    Ok(subjects)
}

/// Writes a chart as people write them: helpers, a value for everything.
fn chart(folder: &Path, name: &str, more: &str, templates: &[&str]) -> Result<()> {
    fs::create_dir_all(folder.join("templates"))?;
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: 1.2.3\nappVersion: '4.5'\n{more}");
    fs::write(folder.join("Chart.yaml"), metadata)?;
    fs::write(folder.join("values.yaml"), VALUES)?;
    fs::write(folder.join("templates/_helpers.tpl"), HELPERS.replace("NAME", name))?;
    for template in templates {
        let text = match *template {
            "deployment" => DEPLOYMENT,
            "service" => SERVICE,
            _ => SETTINGS,
        };
        fs::write(folder.join(format!("templates/{template}.yaml")), text.replace("NAME", name))?;
    }
    Ok(())
}

const VALUES: &str = "\
enabled: true
replicas: 2
image: {repository: registry.example.com/web, tag: ''}
labels: {team: shop, tier: front}
env: {LOG_LEVEL: info, SHARDS: '4'}
service: {port: 80, type: ClusterIP}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {memory: 64Mi}
settings: {colour: blue, retries: 3, nested: {a: [1, 2, 3], b: text}}
";

const HELPERS: &str = r#"{{- define "NAME.fullname" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "NAME.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
"#;

const DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "NAME.fullname" . }}
  labels: {{- include "NAME.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app.kubernetes.io/instance: {{ .Release.Name }}, app.kubernetes.io/name: {{ .Chart.Name }}}
  template:
    metadata:
      annotations:
        checksum/settings: {{ include (print $.Template.BasePath "/settings.yaml") . | sha256sum }}
      labels: {{- include "NAME.labels" . | nindent 8 }}
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          env:
          {{- range $key, $value := .Values.env }}
            - name: {{ $key }}
              value: {{ tpl $value $ | quote }}
          {{- end }}
          ports:
            - {name: http, containerPort: {{ .Values.service.port }}}
          resources: {{- toYaml .Values.resources | nindent 12 }}
"#;

const SERVICE: &str = r#"{{- if .Values.service }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "NAME.fullname" . }}
  labels: {{- include "NAME.labels" . | nindent 4 }}
spec:
  type: {{ .Values.service.type }}
  ports:
    - {name: http, port: {{ .Values.service.port }}, targetPort: http}
  selector: {app.kubernetes.io/instance: {{ .Release.Name }}, app.kubernetes.io/name: {{ .Chart.Name }}}
{{- end }}
"#;

const SETTINGS: &str = r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "NAME.fullname" . }}
  labels: {{- include "NAME.labels" . | nindent 4 }}
data:
  settings.yaml: |
    {{- toYaml .Values.settings | nindent 4 }}
"#;
