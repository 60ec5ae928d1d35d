{{- define "multus.image" -}}
{{- with .Values.global.systemDefaultRegistry -}}{{ trimSuffix "/" . }}/{{- end -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}

{{- /* The options of thin_entrypoint that are values: key of config.cni_conf, and name of the option. */ -}}
{{- define "multus.flags" -}}
additionalBinDir: additional-bin-dir
cleanupConfigOnExit: cleanup-config-on-exit
cniVersion: cni-version
globalNamespaces: global-namespaces
logFile: multus-log-file
logLevel: multus-log-level
logToStderr: multus-log-to-stderr
masterCniFilename: multus-master-cni-file-name
multusCniConfDir: multus-cni-conf-dir
namespaceIsolation: namespace-isolation
overrideNetworkName: override-network-name
readinessIndicatorFile: readiness-indicator-file
{{- end -}}
