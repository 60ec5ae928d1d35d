{{/* Names, labels, images, and what follows from the values. */}}

{{- define "nginx.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "nginx.fullname" -}}
{{- $name := include "nginx.name" . -}}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ default $made .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "nginx.controller" -}}
{{ printf "%s-%s" (include "nginx.fullname" .) .Values.controller.name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "nginx.selector" -}}
app.kubernetes.io/name: {{ include "nginx.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "nginx.labels" -}}
{{ include "nginx.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "nginx.name" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "nginx.serviceAccount" -}}
{{ default (.Values.serviceAccount.create | ternary (include "nginx.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "nginx.election" -}}
{{ default (printf "%s-leader" (include "nginx.fullname" .)) .Values.controller.electionID }}
{{- end }}

{{- define "nginx.image" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.controller.image.repository }}:{{ .Values.controller.image.tag }}
{{- end }}

{{- define "nginx.configNamespace" -}}
{{ default "$(POD_NAMESPACE)" .Values.controller.configMapNamespace }}
{{- end }}

{{/* A port of a TCP or UDP service: [prefix, port, protocol]. */}}
{{- define "nginx.portName" -}}
{{- $prefix := index . 0 -}}
{{ with $prefix }}{{ . }}-{{ end }}{{ index . 1 }}-{{ index . 2 }}
{{- end }}

{{/* The ConfigMap's data as YAML. */}}
{{- define "nginx.config" -}}
{{- $own := dict }}
{{- $_ := set $own "annotations-risk-level" .Values.controller.annotationsRiskLevel }}
{{- $_ := set $own "strict-validate-path-type" (toString .Values.controller.strictValidatePathType) }}
{{- $_ := set $own "allow-snippet-annotations" (toString .Values.controller.allowSnippetAnnotations) }}
{{- if .Values.controller.allowSnippetAnnotations }}
{{- $_ := set $own "annotations-risk-level" "Critical" }}
{{- end }}
{{- if .Values.controller.addHeaders }}
{{- $_ := set $own "add-headers" (printf "%s/%s-add-headers" .Release.Namespace (include "nginx.fullname" .)) }}
{{- end }}
{{- if .Values.controller.proxySetHeaders }}
{{- $_ := set $own "proxy-set-headers" (printf "%s/%s-proxy-headers" .Release.Namespace (include "nginx.fullname" .)) }}
{{- end }}
{{- if .Values.dhParam }}
{{- $_ := set $own "ssl-dh-param" (printf "%s/%s" .Release.Namespace (include "nginx.controller" .)) }}
{{- end }}
{{- range $key, $value := .Values.controller.config }}
{{- $_ := set $own $key (toString $value) }}
{{- end }}
{{- range $key, $value := $own }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
