{{- define "trueup.name" -}}
{{- if contains "trueup" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-trueup" (.Release.Name | trunc 43 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "trueup.selector" -}}
app.kubernetes.io/name: trueup
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trueup.labels" -}}
{{ include "trueup.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- define "trueup.account" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "trueup.name" .) .Values.serviceAccount.name }}{{ else }}{{ required "serviceAccount.name is needed where none is created" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- /* What is needed to apply, watch and prune: of each kind that Apps consist of. */ -}}
{{- define "trueup.applying" -}}
{{- $verbs := list "get" "list" "watch" "create" "patch" "update" "delete" }}
{{- range .Values.rbac.rules }}
- {{ toJson (dict "apiGroups" .apiGroups "resources" .resources "verbs" $verbs) }}
{{- else }}
- {{ toJson (dict "apiGroups" (list "*") "resources" (list "*") "verbs" $verbs) }}
{{- end }}
# The record of each target is a ConfigMap beside its objects.
- {{ toJson (dict "apiGroups" (list "") "resources" (list "configmaps") "verbs" (list "get" "list" "create" "patch" "update" "delete")) }}
# Why a workload is not healthy, and what a failed hook said last.
- {{ toJson (dict "apiGroups" (list "") "resources" (list "pods" "events") "verbs" (list "list")) }}
- {{ toJson (dict "apiGroups" (list "") "resources" (list "pods/log") "verbs" (list "get")) }}
- {{ toJson (dict "apiGroups" (list "events.k8s.io") "resources" (list "events") "verbs" (list "create")) }}
{{- end }}
