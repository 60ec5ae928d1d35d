{{/* NodeLocal DNSCache: its addresses and its Corefile. */}}

{{- define "coredns.nodelocal.labels" -}}
k8s-app: node-local-dns
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/name: node-local-dns
helm.sh/chart: {{ include "coredns.chart" . }}
kubernetes.io/cluster-service: "true"
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What a node's cache listens on, as JSON: its own address, and those of the cluster's DNS where pods ask these; where
     Cilium leads questions to its pod, all addresses of the pod. */}}
{{- define "coredns.nodelocal.addresses" -}}
{{- $own := list (.Values.nodelocal.use_cilium_lrp | ternary "0.0.0.0" .Values.nodelocal.ip_address) }}
{{- or .Values.nodelocal.ipvs .Values.nodelocal.use_cilium_lrp | ternary $own (concat $own (include "coredns.serviceIPs" . | fromJsonArray)) | toJson }}
{{- end }}

{{- define "coredns.nodelocal.corefile" -}}
{{- $addresses := include "coredns.nodelocal.addresses" . | fromJsonArray }}
{{- $domains := prepend .Values.nodelocal.extraClusterDomains (default "cluster.local" .Values.global.clusterDomain) }}
{{- $cluster := .Values.nodelocal.ipvs | ternary (include "coredns.serviceIPs" . | fromJsonArray | join " ") "__PILLAR__CLUSTER__DNS__" }}
{{- $long := "cache {\n    success 9984 30\n    denial 9984 5\n}" }}
{{- range $number, $zone := concat $domains (list "in-addr.arpa" "ip6.arpa" ".") }}
{{ $zone }}:53 {
    errors
    {{- has $zone $domains | ternary $long "cache 30" | nindent 4 }}
    reload
    loop
    bind {{ join " " $addresses }}
    {{- if eq $zone "." }}
    forward . __PILLAR__UPSTREAM__SERVERS__
    {{- else }}
    forward . {{ $cluster }} {
        force_tcp
    }
    {{- end }}
    prometheus :9253
    {{- if eq $number 0 }}
    {{- $address := first $addresses }}
    health {{ contains ":" $address | ternary (printf "[%s]" $address) $address }}:8080
    {{- end }}
}
{{- end }}
{{- end }}
