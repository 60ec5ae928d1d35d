{{- /* calico.image: of (root, image value). */ -}}
{{- define "calico.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- with $root.Values.global.systemDefaultRegistry -}}{{ trimSuffix "/" . }}/{{- end -}}
{{ $image.repository }}:{{ $image.tag }}
{{- end -}}

{{- /* The pools as a dictionary v4, v6 of {cidr, vxlan, nat, blockSize, nodeSelector}; a family without a network has none. */ -}}
{{- define "calico.pools" -}}
{{- $i := .Values.installation -}}
{{- $given := $i.calicoNetwork.ipPools | default list -}}
{{- if not $given -}}
{{- range list .Values.global.clusterCIDRv4 .Values.global.clusterCIDRv6 -}}
{{- if . -}}{{- $given = append $given (dict "cidr" .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $pools := dict -}}
{{- range $given -}}
{{- $vxlan := get (dict "VXLAN" "Always" "VXLANCrossSubnet" "CrossSubnet") (.encapsulation | default $i.backend) -}}
{{- $pool := dict "cidr" .cidr "vxlan" $vxlan "nat" (eq (.natOutgoing | default $i.natOutgoing) "Enabled")
    "blockSize" .blockSize "nodeSelector" (.nodeSelector | default "all()") -}}
{{- $_ := set $pools (contains ":" .cidr | ternary "v6" "v4") $pool -}}
{{- end -}}
{{ $pools | toJson }}
{{- end -}}

{{- /* calico.autodetection: the method that a nodeAddressAutodetection stands for. */ -}}
{{- define "calico.autodetection" -}}
{{- if .kubernetes -}}kubernetes-internal-ip
{{- else if .interface -}}interface={{ .interface }}
{{- else if .skipInterface -}}skip-interface={{ .skipInterface }}
{{- else if .canReach -}}can-reach={{ .canReach }}
{{- else if .cidrs -}}cidr={{ join "," .cidrs }}
{{- else if .firstFound -}}first-found
{{- else -}}kubernetes-internal-ip
{{- end -}}
{{- end -}}

{{- /* calico.felix: felixConfiguration as environment. Felix has some settings under another name, in plain seconds. */ -}}
{{- define "calico.felix" -}}
{{- $secs := list "endpointReportingDelay" "iptablesLockTimeout" "iptablesPostWriteCheckInterval" "netlinkTimeout"
    "reportingInterval" "reportingTTL" "usageReportingInitialDelay" "usageReportingInterval" -}}
{{- range $key, $value := .Values.felixConfiguration }}
- name: FELIX_{{ upper $key }}{{ has $key $secs | ternary "SECS" "" }}
  value: {{ regexReplaceAll "^([0-9.]+)s$" (toString $value) "${1}" | quote }}
{{- end }}
{{- end -}}

{{- /* What is between double underscores is filled in by the installer on the node. */ -}}
{{- define "calico.cni-config" -}}
{{- $pools := include "calico.pools" . | fromJson -}}
{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "calico",
      "log_level": "info",
      "datastore_type": "kubernetes",
      "nodename": "__KUBERNETES_NODE_NAME__",
      "mtu": __CNI_MTU__,
      "ipam": {"type": "calico-ipam", "assign_ipv4": "{{ hasKey $pools "v4" }}", "assign_ipv6": "{{ hasKey $pools "v6" }}"},
      "policy": {"type": "k8s"},
      "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"}
    },
    {{- if eq .Values.installation.calicoNetwork.hostPorts "Enabled" }}
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}},
    {{- end }}
    {"type": "bandwidth", "capabilities": {"bandwidth": true}}
  ]
}
{{- end -}}
