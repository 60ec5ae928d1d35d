{{/* Names, labels, the image, and options as arguments. */}}

{{- define "traefik.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "traefik.fullname" -}}
{{- $name := include "traefik.name" . -}}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{ default $made .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "traefik.selector" -}}
app.kubernetes.io/name: {{ include "traefik.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}-{{ .Release.Namespace }}
{{- end }}

{{- define "traefik.labels" -}}
{{ include "traefik.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "traefik.serviceAccount" -}}
{{ default (include "traefik.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "traefik.service" -}}
{{ default (include "traefik.fullname" .) .Values.service.nameOverride }}
{{- end }}

{{- define "traefik.image" -}}
{{- with .Values.global.systemDefaultRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}

{{/* The provider of Ingresses for ingress-nginx, in either spelling, as YAML; empty if it is off. */}}
{{- define "traefik.nginx" -}}
{{- $new := .Values.providers.kubernetesIngressNGINX -}}
{{- $old := .Values.providers.kubernetesIngressNginx -}}
{{- if $new.enabled }}{{ toYaml $new }}
{{- else if $old.enabled }}{{ mergeOverwrite (deepCopy $new) $old | toYaml }}
{{- end }}
{{- end }}

{{/* The name of a container's or Service's port: 15 characters at most. */}}
{{- define "traefik.portName" -}}
{{ lower . | trunc 15 | trimSuffix "-" }}
{{- end }}

{{/* [path, value]: one argument for each option below `path`. */}}
{{- define "traefik.arguments" -}}
{{- $path := index . 0 -}}
{{- $value := index . 1 -}}
{{- if kindIs "map" $value -}}
{{- if ne (get $value "enabled" | toString) "false" -}}
{{- if get $value "enabled" }}
- {{ printf "--%s=true" $path | quote }}
{{- end -}}
{{- range $key, $each := omit $value "enabled" -}}
{{ include "traefik.arguments" (list (printf "%s.%s" $path $key) $each) }}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" $value -}}
{{- if and $value (kindIs "map" (first $value)) -}}
{{- range $index, $each := $value -}}
{{ include "traefik.arguments" (list (printf "%s[%d]" $path $index) $each) }}
{{- end -}}
{{- else if $value }}
- {{ printf "--%s=%s" $path (join "," $value) | quote }}
{{- end -}}
{{- else if and (kindIs "float64" $value) (eq (floor $value) $value) }}
- {{ printf "--%s=%d" $path (int64 $value) | quote }}
{{- else if and (not (kindIs "invalid" $value)) (ne (toString $value) "") }}
- {{ printf "--%s=%v" $path $value | quote }}
{{- end -}}
{{- end }}

{{/* Arguments of all entry points. A redirection to another one goes to the port that the world knows it by. */}}
{{- define "traefik.entryPoints" -}}
{{- $ofPods := list "port" "hostPort" "hostIP" "containerPort" "expose" "exposedPort" "targetPort" "protocol" "nodePort" "appProtocol" -}}
{{- range $name, $port := .Values.ports -}}
{{- with $port -}}
{{- $options := omit (deepCopy .) "http3" -}}
{{- range $ofPods }}{{ $_ := unset $options . }}{{ end -}}
{{- $to := dig "http" "redirections" "entryPoint" "to" "" . -}}
{{- if $to -}}
{{- $_ := set $options.http.redirections.entryPoint "to" (printf ":%v" (dig $to "exposedPort" "" $.Values.ports)) -}}
{{- end }}
- {{ printf "--entryPoints.%s.address=%s:%v/%s" $name ($.Values.hostNetwork | ternary (default "" .hostIP) "") .port (lower (default "TCP" .protocol)) | quote }}
{{- include "traefik.arguments" (list (printf "entryPoints.%s" $name) $options) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Arguments of the providers. */}}
{{- define "traefik.providers" -}}
{{- $providers := .Values.providers -}}
{{- include "traefik.arguments" (list "providers.kubernetesCRD" $providers.kubernetesCRD) -}}
{{- with $providers.kubernetesIngress -}}
{{- if .enabled -}}
{{- $options := omit (deepCopy .) "publishedService" -}}
{{- if not (or .ingressClass $.Values.ingressClass.isDefaultClass (eq $.Values.global.systemDefaultIngressClass "traefik")) -}}
{{- $_ := set $options "ingressClass" $.Values.ingressClass.name -}}
{{- end -}}
{{- include "traefik.arguments" (list "providers.kubernetesIngress" $options) -}}
{{- $published := default (ternary (printf "%s/%s" $.Release.Namespace (include "traefik.service" $)) "" $.Values.service.enabled) .publishedService.pathOverride -}}
{{- if and .publishedService.enabled $published -}}
{{- include "traefik.arguments" (list "providers.kubernetesIngress.ingressEndpoint.publishedService" $published) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with include "traefik.nginx" . | fromYaml -}}
{{- include "traefik.arguments" (list "providers.kubernetesIngressNGINX" (omit . "publishService")) -}}
{{- $published := default (printf "%s/%s" $.Release.Namespace (include "traefik.service" $)) .publishService.pathOverride -}}
{{- if .publishService.enabled -}}
{{- include "traefik.arguments" (list "providers.kubernetesIngressNGINX.publishService" $published) -}}
{{- end -}}
{{- end -}}
{{- if $providers.file.enabled -}}
{{- include "traefik.arguments" (list "providers.file" (dict "directory" "/etc/traefik/dynamic" "watch" $providers.file.watch)) -}}
{{- end -}}
{{- end }}
