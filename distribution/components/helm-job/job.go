package main

import (
	"fmt"
	"net"
	"strings"
)

// job is what helm-controller asks for, parsed once from the container's arguments and environment.
type job struct {
	verb  string   // "install" (also upgrades) or "delete"
	flags []string // the container's further arguments, passed on to helm install and helm upgrade

	name            string // release name, and alias of the repository
	chart           string // as given, with %{KUBERNETES_API}% replaced
	repository      string
	namespace       string
	driver          string // "secret" or "configmap"
	timeout         string
	configHash      string
	failurePolicy   string
	expected        string // revision the controller saw; "" switches the guard off
	passCredentials bool
	skipTLSVerify   bool
	plainHTTP       bool
	ignored         []string // requests that Helm 3 cannot meet, for the log
}

type lookup func(string) (string, bool)

func parseJob(args []string, env lookup) (*job, error) {
	get := func(key string) string { value, _ := env(key); return value }
	if len(args) == 0 || (args[0] != "install" && args[0] != "delete") {
		return nil, fmt.Errorf("usage: helm-job install|delete [flags of helm install]; got %q", args)
	}
	j := &job{
		verb:            args[0],
		flags:           args[1:],
		name:            get("NAME"),
		chart:           replaceAPIToken(get("CHART"), env),
		repository:      get("REPO"),
		namespace:       get("TARGET_NAMESPACE"),
		driver:          get("HELM_DRIVER"),
		timeout:         get("TIMEOUT"),
		configHash:      get("CONFIG_HASH"),
		failurePolicy:   get("FAILURE_POLICY"),
		expected:        get("EXPECTED_RELEASE_REVISION"),
		passCredentials: get("AUTH_PASS_CREDENTIALS") == "true",
		skipTLSVerify:   get("INSECURE_SKIP_TLS_VERIFY") == "true",
		plainHTTP:       get("PLAIN_HTTP") == "true",
		ignored:         notInHelm3(env),
	}
	switch {
	case get("HELM_VERSION") == "v2":
		return nil, errHelmV2
	case j.name == "" || j.namespace == "":
		return nil, fmt.Errorf("NAME and TARGET_NAMESPACE must be set: this program is run by a HelmChart's job")
	case j.driver != "" && j.driver != "secret" && j.driver != "configmap":
		return nil, fmt.Errorf("HELM_DRIVER=%s: releases are kept in a secret or a configmap", j.driver)
	}
	return j, nil
}

// replaceAPIToken lets a chart be fetched from the API server's own address, as K3s' static charts are.
func replaceAPIToken(chart string, env lookup) string {
	host, _ := env("KUBERNETES_SERVICE_HOST")
	port, _ := env("KUBERNETES_SERVICE_PORT")
	return strings.ReplaceAll(chart, "%{KUBERNETES_API}%", net.JoinHostPort(host, port))
}

// notInHelm3 names what is asked for and differs from what Helm 3 does anyway.
func notInHelm3(env lookup) []string {
	var ignored []string
	for _, key := range []string{"SERVER_SIDE", "FORCE_CONFLICTS"} {
		if value, _ := env(key); value == "true" {
			ignored = append(ignored, key+"=true")
		}
	}
	return ignored
}
