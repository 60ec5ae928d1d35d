{{/* Names, labels, the image. */}}

{{- define "snapshots.fullname" -}}
{{ default .Chart.Name .Values.controller.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "snapshots.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: {{ .Chart.Name }}
{{- end }}

{{- define "snapshots.labels" -}}
{{ include "snapshots.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "snapshots.serviceAccount" -}}
{{- $account := .Values.controller.serviceAccount -}}
{{ default ($account.create | ternary (include "snapshots.fullname" .) "default") $account.name }}
{{- end }}

{{- define "snapshots.image" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.controller.image.repository }}:{{ .Values.controller.image.tag }}
{{- end }}
