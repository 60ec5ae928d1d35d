package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// removedAPIs lists what Kubernetes stopped serving up to 1.36, as "<old apiVersion> <kinds>" and the
// apiVersion that took over; "" where nothing did. (deprecation guide of the Kubernetes documentation)
var removedAPIs = []struct{ old, kinds, renewed string }{
	{"extensions/v1beta1", "Deployment DaemonSet ReplicaSet", "apps/v1"},
	{"extensions/v1beta1", "Ingress NetworkPolicy", "networking.k8s.io/v1"},
	{"extensions/v1beta1", "PodSecurityPolicy", ""},
	{"policy/v1beta1", "PodSecurityPolicy", ""},
	{"policy/v1beta1", "PodDisruptionBudget", "policy/v1"},
	{"apps/v1beta1", "Deployment StatefulSet ControllerRevision", "apps/v1"},
	{"apps/v1beta2", "Deployment StatefulSet DaemonSet ReplicaSet ControllerRevision", "apps/v1"},
	{"networking.k8s.io/v1beta1", "Ingress IngressClass", "networking.k8s.io/v1"},
	{"admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1"},
	{"apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", "apiextensions.k8s.io/v1"},
	{"apiregistration.k8s.io/v1beta1", "APIService", "apiregistration.k8s.io/v1"},
	{"authentication.k8s.io/v1beta1", "TokenReview", "authentication.k8s.io/v1"},
	{"autoscaling/v2beta1", "HorizontalPodAutoscaler", "autoscaling/v2"},
	{"autoscaling/v2beta2", "HorizontalPodAutoscaler", "autoscaling/v2"},
	{"batch/v1beta1", "CronJob", "batch/v1"},
	{"certificates.k8s.io/v1beta1", "CertificateSigningRequest", "certificates.k8s.io/v1"},
	{"coordination.k8s.io/v1beta1", "Lease", "coordination.k8s.io/v1"},
	{"discovery.k8s.io/v1beta1", "EndpointSlice", "discovery.k8s.io/v1"},
	{"events.k8s.io/v1beta1", "Event", "events.k8s.io/v1"},
	{"flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io/v1"},
	{"flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io/v1"},
	{"flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema PriorityLevelConfiguration", "flowcontrol.apiserver.k8s.io/v1"},
	{"node.k8s.io/v1beta1", "RuntimeClass", "node.k8s.io/v1"},
	{"rbac.authorization.k8s.io/v1alpha1", "ClusterRole ClusterRoleBinding Role RoleBinding", "rbac.authorization.k8s.io/v1"},
	{"rbac.authorization.k8s.io/v1beta1", "ClusterRole ClusterRoleBinding Role RoleBinding", "rbac.authorization.k8s.io/v1"},
	{"scheduling.k8s.io/v1beta1", "PriorityClass", "scheduling.k8s.io/v1"},
	{"storage.k8s.io/v1beta1", "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment", "storage.k8s.io/v1"},
}

// The two fields at the top level of an object; deeper ones are indented.
var (
	apiVersionField = regexp.MustCompile(`(?m)^apiVersion:[ \t]*["']?([^\s"'#]+)["']?.*$`)
	kindField       = regexp.MustCompile(`(?m)^kind:[ \t]*["']?(\w+)`)
	documentStart   = regexp.MustCompile(`(?m)^---[ \t]*$`)
)

// renewManifest replaces removed API versions in a stored manifest, which Helm reads only to find the
// objects it installed. Objects of kinds that are gone altogether are dropped.
func renewManifest(manifest string) (renewed string, changes []string) {
	documents := documentStart.Split(manifest, -1)
	kept := make([]string, 0, len(documents))
	for _, document := range documents {
		renewed, change := renewDocument(document)
		if change != "" {
			changes = append(changes, change)
		}
		if renewed != "" || change == "" {
			kept = append(kept, renewed)
		}
	}
	return strings.Join(kept, "---"), changes
}

func renewDocument(document string) (renewed, change string) {
	version, kind := apiVersionField.FindStringSubmatchIndex(document), kindField.FindStringSubmatch(document)
	if version == nil || kind == nil {
		return document, ""
	}
	old := document[version[2]:version[3]]
	for _, gone := range removedAPIs {
		if gone.old != old || !slices.Contains(strings.Fields(gone.kinds), kind[1]) {
			continue
		}
		if gone.renewed == "" {
			return "", fmt.Sprintf("dropped %s %s", old, kind[1])
		}
		return document[:version[2]] + gone.renewed + document[version[3]:],
			fmt.Sprintf("%s %s is %s now", old, kind[1], gone.renewed)
	}
	return document, ""
}
