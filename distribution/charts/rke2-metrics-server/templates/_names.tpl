{{/* Names, labels and the image. */}}

{{- define "metrics.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "metrics.fullname" -}}
{{ default (include "metrics.name" .) .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "metrics.selector" -}}
app: {{ include "metrics.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: {{ include "metrics.name" . }}
{{- end }}

{{- define "metrics.labels" -}}
{{ include "metrics.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "metrics.serviceAccount" -}}
{{ default (.Values.serviceAccount.create | ternary (include "metrics.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "metrics.image" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}
