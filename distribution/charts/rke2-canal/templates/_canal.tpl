{{- define "canal.registry" -}}
{{- with .Values.global.systemDefaultRegistry -}}{{ trimSuffix "/" . }}/{{- end -}}
{{- end -}}

{{- /* canal.image: of (root, image value). */ -}}
{{- define "canal.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{ include "canal.registry" $root }}{{ $image.repository }}:{{ $image.tag }}
{{- end -}}

{{- /* The pod networks as a dictionary v4, v6: rke2's when it gave any, so that a cluster of IPv6 alone has no v4. */ -}}
{{- define "canal.networks" -}}
{{- $g := .Values.global -}}
{{- if or $g.clusterCIDRv4 $g.clusterCIDRv6 -}}
{{ dict "v4" (toString ($g.clusterCIDRv4 | default "")) "v6" (toString ($g.clusterCIDRv6 | default "")) | toJson }}
{{- else -}}
{{ dict "v4" (toString (.Values.podCidr | default "")) "v6" (toString (.Values.podCidrv6 | default "")) | toJson }}
{{- end -}}
{{- end -}}

{{- /* The flannel backend; a key appears when its value is set. */ -}}
{{- define "canal.backend" -}}
{{- $f := .Values.flannel -}}
{{- $keys := dict
  "vxlan" (dict "Port" (int $f.backendPort) "VNI" (int $f.vni) "MTU" (int $f.mtu) "GBP" $f.GBP "DirectRouting" $f.directRouting "MacPrefix" $f.macPrefix)
  "wireguard" (dict "ListenPort" (int $f.backendPort) "ListenPortV6" (int $f.backendPortv6) "PSK" $f.psk "MTU" (int $f.mtu) "Mode" $f.tunnelMode "PersistentKeepaliveInterval" (int $f.keepaliveInterval))
  "udp" (dict "Port" (int $f.backendPort)) -}}
{{- $backend := dict "Type" $f.backend -}}
{{- range $key, $value := get $keys $f.backend | default dict -}}
{{- if $value -}}{{- $_ := set $backend $key $value -}}{{- end -}}
{{- end -}}
{{ $backend | toJson }}
{{- end -}}

{{- define "canal.net-conf" -}}
{{- $networks := include "canal.networks" . | fromJson -}}
{{- $conf := dict "Backend" (include "canal.backend" . | fromJson) -}}
{{- if $networks.v4 -}}{{- $_ := set $conf "Network" $networks.v4 -}}
{{- else -}}{{- $_ := set $conf "EnableIPv4" false -}}{{- end -}}
{{- if $networks.v6 -}}{{- $_ := merge $conf (dict "IPv6Network" $networks.v6 "EnableIPv6" true) -}}{{- end -}}
{{- if .Values.flannel.enableNFTables -}}{{- $_ := set $conf "EnableNFTables" true -}}{{- end -}}
{{ $conf | toPrettyJson }}
{{- end -}}

{{- /* What is between double underscores is filled in by the installer on the node. */ -}}
{{- define "canal.cni-config" -}}
{{- $networks := include "canal.networks" . | fromJson -}}
{{- $ranges := list -}}
{{- if $networks.v4 -}}{{- $ranges = append $ranges (list (dict "subnet" "usePodCidr")) -}}{{- end -}}
{{- if $networks.v6 -}}{{- $ranges = append $ranges (list (dict "subnet" "usePodCidrIPv6")) -}}{{- end -}}
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
      "ipam": {"type": "host-local", "ranges": {{ $ranges | toJson }}},
      "policy": {"type": "k8s"},
      "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"}
    },
    {"type": "portmap", "snat": true, "capabilities": {"portMappings": true}},
    {"type": "bandwidth", "capabilities": {"bandwidth": true}}
  ]
}
{{- end -}}
