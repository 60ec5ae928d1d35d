{{/* The Corefile, and the ports that follow from it. */}}

{{- define "coredns.corefile" -}}
{{- range $name, $config := .Values.extraConfig }}
{{- include "coredns.plugin" (merge (dict "name" $name) $config) }}
{{ end }}
{{- range .Values.servers }}
{{- include "coredns.addresses" . }} {
{{- range .plugins }}
{{- include "coredns.plugin" (include "coredns.withDomain" (list $ .) | fromYaml) | nindent 4 }}
{{- end }}
}
{{ end }}
{{- end }}

{{/* "<scheme><zone>:<port>" of each zone of a server. */}}
{{- define "coredns.addresses" -}}
{{- $addresses := list }}
{{- $port := .port | default 53 }}
{{- range default (list (dict "zone" ".")) .zones }}
{{- $addresses = append $addresses (printf "%s%s:%v" (default "" .scheme) (default "." .zone) $port) }}
{{- end }}
{{- join " " $addresses }}
{{- end }}

{{/* A plugin as YAML; one called kubernetes gets the cluster domain. Takes [root, plugin]. */}}
{{- define "coredns.withDomain" -}}
{{- $root := index . 0 }}
{{- $plugin := index . 1 }}
{{- if eq $plugin.name "kubernetes" }}
{{- $domain := default "cluster.local" $root.Values.global.clusterDomain }}
{{- $parameters := list $domain (default "" $plugin.parameters) | join " " | trim }}
{{- $plugin = merge (dict "parameters" $parameters) $plugin }}
{{- end }}
{{- toYaml $plugin }}
{{- end }}

{{- define "coredns.plugin" -}}
{{ .name }}
{{- if not (kindIs "invalid" .parameters) }} {{ .parameters }}{{ end }}
{{- with .configBlock }} {
{{ . | trim | indent 4 }}
}
{{- end }}
{{- end }}

{{/* [{name, protocol, port, servicePort, nodePort, hostPort}] of all servers as JSON. */}}
{{- define "coredns.ports" -}}
{{- $names := list }}
{{- $ports := list }}
{{- range .Values.servers }}
{{- $server := . }}
{{- $port := .port | default 53 | int }}
{{- range include "coredns.protocols" . | splitList " " }}
{{- $name := printf "%s-%d" (lower .) $port }}
{{- if not (has $name $names) }}
{{- $names = append $names $name }}
{{- $own := pick $server "servicePort" "nodePort" "hostPort" }}
{{- $ports = append $ports (merge (dict "name" $name "protocol" . "port" $port) $own) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $ports }}
{{- end }}

{{/*
"UDP", "TCP" or both, from the schemes of a server's zones; both if it has no zones. Plain DNS has both from the start,
whatever use_tcp says: CoreDNS listens on both, and Helm 3 can neither add one protocol of a port nor take it away.
*/}}
{{- define "coredns.protocols" -}}
{{- $protocols := list }}
{{- range .zones }}
{{- if has (default "" .scheme) (list "" "dns://") }}
{{- $protocols = concat $protocols (list "UDP" "TCP") }}
{{- else }}
{{- $protocols = append $protocols "TCP" }}
{{- end }}
{{- end }}
{{- default (list "UDP" "TCP") $protocols | uniq | join " " }}
{{- end }}

{{/* Ports of the prometheus plugins, as JSON. */}}
{{- define "coredns.metricsPorts" -}}
{{- $ports := list }}
{{- range .Values.servers }}
{{- range .plugins }}
{{- if eq .name "prometheus" }}
{{- $port := regexFind "[0-9]+$" (toString (default "localhost:9153" .parameters)) }}
{{- $ports = append $ports (int (default "9153" $port)) }}
{{- end }}
{{- end }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}
