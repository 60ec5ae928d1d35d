{{/* Names, labels and images. */}}

{{- define "coredns.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "coredns.fullname" -}}
{{- $made := printf "%s-%s" .Release.Name (include "coredns.name" .) -}}
{{ default $made .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "coredns.chart" -}}
{{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{- define "coredns.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/name: {{ include "coredns.name" . | quote }}
k8s-app: {{ .Values.k8sApp | quote }}
{{- end }}

{{/* Labels of every object of CoreDNS itself. */}}
{{- define "coredns.labels" -}}
{{ include "coredns.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ include "coredns.chart" . }}
{{- if .Values.isClusterService }}
kubernetes.io/cluster-service: "true"
kubernetes.io/name: CoreDNS
{{- end }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "coredns.serviceAccount" -}}
{{ default (.Values.serviceAccount.create | ternary (include "coredns.fullname" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "coredns.autoscaler.fullname" -}}
{{ include "coredns.fullname" . | trunc 52 | trimSuffix "-" }}-autoscaler
{{- end }}

{{- define "coredns.autoscaler.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/name: {{ include "coredns.name" . }}-autoscaler
k8s-app: {{ .Values.k8sApp }}-autoscaler
{{- end }}

{{- define "coredns.autoscaler.labels" -}}
{{ include "coredns.autoscaler.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ include "coredns.chart" . }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "coredns.serviceName" -}}
{{ default (include "coredns.fullname" .) .Values.service.name }}
{{- end }}

{{/* The addresses of the cluster's DNS, as JSON: those the Service is given, else those the cluster was made with. */}}
{{- define "coredns.serviceIPs" -}}
{{- $dns := .Values.global.clusterDNS | nospace | splitList "," | compact }}
{{- $ip := default (default "10.43.0.10" (first $dns)) .Values.service.clusterIP }}
{{- default ($dns | has $ip | ternary $dns (list $ip)) .Values.service.clusterIPs | toJson }}
{{- end }}

{{/* One image reference. Takes {root, image}. */}}
{{- define "coredns.image" -}}
{{- with .root.Values.global.systemDefaultRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .image.repository }}:{{ .image.tag }}
{{- end }}

{{/* Pull secrets as Kubernetes wants them, from names or from objects. */}}
{{- define "coredns.pullSecrets" -}}
{{- range . }}
- name: {{ if kindIs "map" . }}{{ .name | quote }}{{ else }}{{ . | quote }}{{ end }}
{{- end }}
{{- end }}

{{/* The probe's numbers, without our own switch. */}}
{{- define "coredns.probe" -}}
{{ omit . "enabled" | toYaml }}
{{- end }}
