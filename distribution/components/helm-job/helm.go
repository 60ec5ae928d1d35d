package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	home           = "/home/klipper-helm" // where helm-controller mounts .cache, .config, .helm and .docker
	serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"
	stableCharts   = "https://charts.helm.sh/stable/"
)

// helmCLI runs Helm with the container's stdout and stderr.
type helmCLI struct {
	binary string
	env    []string
	log    *progress
}

// helmFailed is a Helm process that ended with an error; its message is an excerpt of what Helm said.
type helmFailed struct {
	verb   string
	code   int
	detail string
}

func (f *helmFailed) Error() string {
	return fmt.Sprintf("helm %s failed with exit code %d: %s", f.verb, f.code, f.detail)
}

func (h *helmCLI) run(ctx context.Context, stdin string, args ...string) error {
	h.log.say("running helm %s", strings.Join(args, " "))
	said := &tail{limit: 64 << 10}
	command := exec.CommandContext(ctx, h.binary, args...)
	command.Env = h.env
	command.Stdin = strings.NewReader(stdin)
	command.Stdout = os.Stdout
	command.Stderr = io.MultiWriter(os.Stderr, said)
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &helmFailed{verb: args[0], code: max(exit.ExitCode(), 1), detail: excerpt(said.String())}
	}
	return err
}

// helmEnv completes the environment the controller gave. The API server's CA is trusted for chart
// downloads too (charts may come from the API server itself), beside the CAs of the image.
func helmEnv(environ []string) []string {
	ca := filepath.Join(serviceAccount, "ca.crt")
	return append(environ,
		"HOME="+home,
		"SSL_CERT_FILE="+ca,
		"SSL_CERT_DIR=/etc/ssl/certs",
		"HELM_TLS_CA_CERT="+ca,
	)
}

// applyArgs is the command line of "helm install" and "helm upgrade", which take the same flags.
// The flags of the job come last among the flags, as the controller made them for this release.
//
// An API server with field validation (all since 1.27) makes Helm's own validation find nothing, after
// it made the server produce and send the schema of every API group in the chart.
func applyArgs(verb string, j *job, w *workspace) []string {
	args := []string{verb, "--disable-openapi-validation"}
	args = append(args, transportFlags(j, w)...)
	if j.plainHTTP {
		args = append(args, "--plain-http")
	}
	args = append(args, timeoutFlag(j)...)
	if j.configHash != "" {
		args = append(args, "--labels", "helmcharts.helm.cattle.io/configHash="+j.configHash)
	}
	args = append(args, j.flags...)
	for _, file := range w.values {
		args = append(args, "--values", file)
	}
	return append(args, j.name, w.chart)
}

// uninstallArgs waits: the reinstallation that may follow must not meet objects on their way out.
func uninstallArgs(j *job) []string {
	args := []string{"uninstall", "--wait", "--namespace", j.namespace}
	return append(append(args, timeoutFlag(j)...), j.name)
}

// repositoryArgs is the "helm repo add" the chart needs, or nil. --force-update also fetches the index
// when the repository is known already, so that no "helm repo update" has to follow.
func repositoryArgs(j *job, w *workspace) (args []string, stdin string) {
	direct := strings.Contains(w.chart, "http://") || strings.Contains(w.chart, "https://")
	switch {
	case w.inline || direct:
		return nil, ""
	case j.repository != "":
		alias, _, _ := strings.Cut(j.name, "/")
		args = []string{"repo", "add", "--force-update", alias, j.repository}
	case strings.HasPrefix(w.chart, "stable/"):
		args = []string{"repo", "add", "--force-update", "stable", stableCharts}
	default:
		return nil, ""
	}
	args = append(args, transportFlags(j, w)...)
	if j.passCredentials {
		args = append(args, "--pass-credentials")
	}
	switch {
	case w.username != "":
		args = append(args, "--username", w.username, "--password-stdin")
		stdin = w.password
	case w.certFile != "":
		args = append(args, "--cert-file", w.certFile, "--key-file", w.keyFile)
	}
	return args, stdin
}

func transportFlags(j *job, w *workspace) []string {
	var flags []string
	if w.caFile != "" {
		flags = append(flags, "--ca-file", w.caFile)
	}
	if j.skipTLSVerify {
		flags = append(flags, "--insecure-skip-tls-verify")
	}
	return flags
}

func timeoutFlag(j *job) []string {
	if j.timeout == "" {
		return nil
	}
	return []string{"--timeout", j.timeout}
}

// tail keeps the last bytes written to it.
type tail struct {
	limit int
	bytes []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.bytes = append(t.bytes, p...)
	if excess := len(t.bytes) - t.limit; excess > 0 {
		t.bytes = t.bytes[excess:]
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.bytes)) }

const (
	excerptHead = 300
	excerptEnd  = 500 // with the head less than the 1024 bytes of an event
)

// excerpt is what Helm said from its last "Error:" on. Of a long error it has the beginning and the end:
// Kubernetes names the object first and the reason last, and repeats the whole object in between.
func excerpt(said string) string {
	if start := strings.LastIndex("\n"+said, "\nError: "); start >= 0 {
		said = said[start:]
	}
	if len(said) <= excerptHead+excerptEnd {
		return said
	}
	head, end := said[:excerptHead], said[len(said)-excerptEnd:]
	return strings.ToValidUTF8(head, "") + " … " + strings.ToValidUTF8(end, "")
}
