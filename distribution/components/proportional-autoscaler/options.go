package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"time"
)

// options is the command line, checked.
type options struct {
	namespace       string
	configMap       string
	target          target
	defaultParams   map[string]string // nil: a ConfigMap that is not there is an error
	pollPeriod      time.Duration
	nodeLabels      string // a label selector
	maxSyncFailures int    // 0: never give up
	verbosity       int
	version         bool
}

// ignoredFlags are glog's other flags: what is logged goes to standard error whatever they say.
var ignoredFlags = []string{
	"alsologtostderr", "log_backtrace_at", "log-backtrace-at", "log_dir", "log-dir", "log_link", "logbuflevel",
	"logtostderr", "stderrthreshold", "vmodule",
}

// parseOptions reads the command line; getenv gives the namespace where no flag does.
func parseOptions(args []string, getenv func(string) string) (*options, error) {
	opts, target, seconds, params := &options{}, "", 0, ""
	flags := flag.NewFlagSet("cluster-proportional-autoscaler", flag.ContinueOnError)
	flags.StringVar(&target, "target", "",
		"what is scaled: deployment/NAME, replicaset/NAME, statefulset/NAME or replicationcontroller/NAME")
	flags.StringVar(&opts.configMap, "configmap", "", "name of the ConfigMap with the parameters")
	flags.StringVar(&opts.namespace, "namespace", getenv("MY_POD_NAMESPACE"), "where both are")
	flags.StringVar(&params, "default-params", "", "a JSON object: what a ConfigMap that is not there is made of")
	flags.IntVar(&seconds, "poll-period-seconds", 10, "how often the cluster is looked at")
	flags.StringVar(&opts.nodeLabels, "nodelabels", "", "label selector of the nodes that count, such as a=b,c=d")
	flags.IntVar(&opts.maxSyncFailures, "max-sync-failures", 0, "end after so many failures in a row; 0: never")
	flags.IntVar(&opts.verbosity, "v", 0, "2 logs parameters, 4 every look")
	flags.BoolVar(&opts.version, "version", false, "print the version")
	for _, name := range ignoredFlags {
		flags.Var(ignored{}, name, "has no effect")
	}
	if err := flags.Parse(args); err != nil || opts.version {
		return opts, err
	}
	var err error
	if opts.target, err = parseTarget(target); err != nil {
		return nil, fmt.Errorf("--target: %w", err)
	}
	if opts.defaultParams, err = parseDefaults(params); err != nil {
		return nil, fmt.Errorf("--default-params: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q: only flags are taken", flags.Args())
	case opts.configMap == "":
		return nil, fmt.Errorf("--configmap is not given")
	case opts.namespace == "":
		return nil, fmt.Errorf("--namespace is not given, and MY_POD_NAMESPACE is not set")
	case seconds < 1:
		return nil, fmt.Errorf("--poll-period-seconds: %d is less than 1", seconds)
	case opts.maxSyncFailures < 0:
		return nil, fmt.Errorf("--max-sync-failures: %d is less than 0", opts.maxSyncFailures)
	}
	opts.pollPeriod = time.Duration(seconds) * time.Second
	return opts, nil
}

// ignored takes any value, or none.
type ignored struct{}

func (ignored) String() string   { return "" }
func (ignored) Set(string) error { return nil }
func (ignored) IsBoolFlag() bool { return true }

// parseDefaults turns {"linear": {…}} into the data of a ConfigMap.
func parseDefaults(text string) (map[string]string, error) {
	if text == "" {
		return nil, nil
	}
	var modes map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &modes); err != nil {
		return nil, err
	}
	data := map[string]string{}
	for mode, params := range modes {
		data[mode] = string(params)
	}
	_, err := parsePolicy(data)
	return data, err
}

// target is the workload whose replicas are set.
type target struct {
	prefix   string // of the API group and version
	resource string // plural
	name     string
}

var scalable = map[string]target{
	"deployment":            {prefix: "/apis/apps/v1", resource: "deployments"},
	"replicaset":            {prefix: "/apis/apps/v1", resource: "replicasets"},
	"statefulset":           {prefix: "/apis/apps/v1", resource: "statefulsets"},
	"replicationcontroller": {prefix: "/api/v1", resource: "replicationcontrollers"},
}

// parseTarget reads KIND/NAME; the kind in any case, singular or plural.
func parseTarget(text string) (target, error) {
	kind, name, _ := strings.Cut(strings.ToLower(text), "/")
	found, known := scalable[strings.TrimSuffix(kind, "s")]
	if !known || name == "" || strings.Contains(name, "/") {
		return target{}, fmt.Errorf("%q is not KIND/NAME of a deployment, replicaset, statefulset or "+
			"replicationcontroller", text)
	}
	found.name = name
	return found, nil
}

// scalePath is where the API has the number of replicas.
func (t target) scalePath(namespace string) string {
	return fmt.Sprintf("%s/namespaces/%s/%s/%s/scale", t.prefix, namespace, t.resource, t.name)
}
