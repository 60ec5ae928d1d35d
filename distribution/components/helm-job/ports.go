package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// service is what is looked at of a Service. Its ports stay as they are written, for whatever else is in them.
type service struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct{ Name, Namespace, ResourceVersion string }
	Spec       struct{ Ports []map[string]any }
}

// mendPorts gives Services the ports of the chart where Helm's merge lost some.
//
// Helm merges the ports of a Service by their number alone, as the Kubernetes types say. Where a chart
// adds 53/TCP beside 53/UDP one of the two is gone afterwards, and the upgrade was a success.
func mendPorts(ctx context.Context, a *api, namespace, manifest string, log *progress) error {
	var failures []error
	for _, wanted := range servicesWithSharedPorts(manifest) {
		if wanted.Metadata.Namespace == "" {
			wanted.Metadata.Namespace = namespace
		}
		failures = append(failures, mendService(ctx, a, wanted, log))
	}
	return errors.Join(failures...)
}

func mendService(ctx context.Context, a *api, wanted service, log *progress) error {
	where := wanted.Metadata.Namespace + "/" + wanted.Metadata.Name
	path := "/api/v1/namespaces/" + url.PathEscape(wanted.Metadata.Namespace) + "/services/" + url.PathEscape(wanted.Metadata.Name)
	var live service
	if err := a.get(ctx, path, "application/json", &live); err != nil {
		var status *statusError
		if errors.As(err, &status) && status.code == http.StatusNotFound {
			return nil // another step's trouble, not that of a merge
		}
		return wrap(err, "cannot read Service %s", where)
	}
	lost := lostPorts(wanted.Spec.Ports, live.Spec.Ports)
	if len(lost) == 0 {
		return nil
	}
	log.say("Service %s lacks %s after Helm's merge, which goes by the number alone: putting the chart's ports there", where, strings.Join(lost, " and "))
	patch := map[string]any{
		"metadata": map[string]any{"resourceVersion": live.Metadata.ResourceVersion},
		"spec":     map[string]any{"ports": withNodePorts(wanted.Spec.Ports, live.Spec.Ports)},
	}
	return wrap(a.mergePatch(ctx, path, patch), "cannot write the ports of Service %s", where)
}

// servicesWithSharedPorts are those of the manifest in which two ports have the same number.
func servicesWithSharedPorts(manifest string) []service {
	var found []service
	for _, document := range strings.Split("\n"+manifest, "\n---") {
		if !strings.Contains(document, "Service") {
			continue
		}
		var s service
		if yaml.Unmarshal([]byte(document), &s) != nil || s.APIVersion != "v1" || s.Kind != "Service" {
			continue
		}
		numbers := map[string]bool{}
		for _, port := range s.Spec.Ports {
			numbers[fmt.Sprint(port["port"])] = true
		}
		if len(numbers) < len(s.Spec.Ports) {
			found = append(found, s)
		}
	}
	return found
}

// spokenPort is a port as Kubernetes tells them apart: "53/UDP".
func spokenPort(port map[string]any) string {
	protocol, _ := port["protocol"].(string)
	if protocol == "" {
		protocol = "TCP"
	}
	return fmt.Sprint(port["port"]) + "/" + protocol
}

func lostPorts(wanted, there []map[string]any) []string {
	var lost []string
	for _, port := range wanted {
		name := spokenPort(port)
		if !slices.ContainsFunc(there, func(p map[string]any) bool { return spokenPort(p) == name }) {
			lost = append(lost, name)
		}
	}
	return lost
}

// withNodePorts keeps the node ports that were given. Both protocols of a port have the same one, as Kubernetes gives
// them: the merge may have handed that of one protocol to the other.
func withNodePorts(wanted, there []map[string]any) []map[string]any {
	given := map[string]any{}
	for _, port := range there {
		given[fmt.Sprint(port["port"])] = port["nodePort"]
	}
	ports := make([]map[string]any, 0, len(wanted))
	for _, port := range wanted {
		port = maps.Clone(port)
		if number := given[fmt.Sprint(port["port"])]; port["nodePort"] == nil && number != nil {
			port["nodePort"] = number
		}
		ports = append(ports, port)
	}
	return ports
}

// manifest is what the revision installed.
func (r *records) manifest(ctx context.Context, revision int) (string, error) {
	_, content, err := r.read(ctx, revision)
	if err != nil {
		return "", err
	}
	var manifest string
	return manifest, json.Unmarshal(content["manifest"], &manifest)
}
