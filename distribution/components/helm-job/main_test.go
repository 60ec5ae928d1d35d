package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func from(env map[string]string) lookup {
	return func(key string) (string, bool) { value, set := env[key]; return value, set }
}

// controllerEnv is what helm-controller sets for a chart from a repository.
func controllerEnv(more map[string]string) lookup {
	env := map[string]string{
		"NAME": "app", "CHART": "app/web", "REPO": "https://charts.example", "TARGET_NAMESPACE": "apps",
		"HELM_DRIVER": "secret", "AUTH_PASS_CREDENTIALS": "false", "INSECURE_SKIP_TLS_VERIFY": "false",
		"PLAIN_HTTP": "false", "FAILURE_POLICY": "reinstall", "SERVER_SIDE": "auto", "FORCE_CONFLICTS": "false",
		"KUBERNETES_SERVICE_HOST": "10.43.0.1", "KUBERNETES_SERVICE_PORT": "443",
	}
	for key, value := range more {
		env[key] = value
	}
	return from(env)
}

func mustParse(t *testing.T, env map[string]string, args ...string) *job {
	t.Helper()
	j, err := parseJob(args, controllerEnv(env))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name, verb, expected, policy string
		current                      release
		want                         action
		recover                      bool
	}{
		{"fresh install ignores the revision guard", "install", "3", "retry", release{}, doInstall, false},
		{"nothing to delete", "delete", "3", "", release{}, doNothing, false},
		{"guard stops an install", "install", "1", "retry", release{2, "deployed"}, doNothing, false},
		{"guard stops a delete", "delete", "1", "", release{2, "deployed"}, doNothing, false},
		{"delete", "delete", "2", "", release{2, "deployed"}, doUninstall, false},
		{"delete does not recover", "delete", "", "", release{2, "pending-upgrade"}, doUninstall, false},
		{"deployed", "install", "2", "abort", release{2, "deployed"}, doUpgrade, false},
		{"pending-upgrade", "install", "2", "abort", release{2, "pending-upgrade"}, doUpgrade, true},
		{"superseded", "install", "2", "abort", release{2, "superseded"}, doUpgrade, true},
		{"pending-install", "install", "1", "retry", release{1, "pending-install"}, doRetry, true},
		{"pending-rollback", "install", "1", "reinstall", release{1, "pending-rollback"}, doReinstall, true},
		{"uninstalling", "install", "1", "abort", release{1, "uninstalling"}, doAbort, true},
		{"failed, reinstall", "install", "1", "reinstall", release{1, "failed"}, doReinstall, false},
		{"failed, default", "install", "1", "", release{1, "failed"}, doReinstall, false},
		{"failed, retry", "install", "1", "retry", release{1, "failed"}, doRetry, false},
		{"failed, abort", "install", "1", "abort", release{1, "failed"}, doAbort, false},
		{"failed, mistyped policy", "install", "1", "Retry", release{1, "failed"}, doAbort, false},
		{"unknown", "install", "1", "retry", release{1, "unknown"}, doRetry, false},
		{"uninstalled", "install", "1", "retry", release{1, "uninstalled"}, doInstall, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := decide(&job{verb: test.verb, expected: test.expected, failurePolicy: test.policy}, test.current)
			if got.action != test.want || got.recover != test.recover {
				t.Errorf("got %+v", got)
			}
			if got.renewAPIs != (got.action == doUpgrade && !got.recover) {
				t.Errorf("removed APIs are looked for exactly before upgrading a deployed release: %+v", got)
			}
		})
	}
}

func TestParseJobRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
	}{
		"no verb":        {nil, nil},
		"unknown verb":   {[]string{"upgrade"}, nil},
		"no name":        {[]string{"install"}, map[string]string{"NAME": ""}},
		"unknown driver": {[]string{"install"}, map[string]string{"HELM_DRIVER": "sql"}},
	} {
		if _, err := parseJob(test.args, controllerEnv(test.env)); exitCode(err) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := parseJob([]string{"install"}, controllerEnv(map[string]string{"HELM_VERSION": "v2"}))
	if exitCode(err) != 64 {
		t.Errorf("HELM_VERSION=v2: %v", err)
	}
}

func TestAPITokenInChart(t *testing.T) {
	chart := map[string]string{"CHART": "https://%{KUBERNETES_API}%/static/web.tgz"}
	if j := mustParse(t, chart, "install"); j.chart != "https://10.43.0.1:443/static/web.tgz" {
		t.Error(j.chart)
	}
	chart["KUBERNETES_SERVICE_HOST"] = "fd00::1"
	if j := mustParse(t, chart, "install"); j.chart != "https://[fd00::1]:443/static/web.tgz" {
		t.Error(j.chart)
	}
}

func TestWhatHelm3CannotDoIsNamed(t *testing.T) {
	if j := mustParse(t, nil, "install"); j.ignored != nil {
		t.Error(j.ignored)
	}
	j := mustParse(t, map[string]string{"SERVER_SIDE": "true", "FORCE_CONFLICTS": "true"}, "install")
	if want := []string{"SERVER_SIDE=true", "FORCE_CONFLICTS=true"}; !reflect.DeepEqual(j.ignored, want) {
		t.Error(j.ignored)
	}
}

func TestApplyArgs(t *testing.T) {
	j := mustParse(t, map[string]string{
		"TIMEOUT": "10m0s", "CONFIG_HASH": "ABC", "INSECURE_SKIP_TLS_VERIFY": "true", "PLAIN_HTTP": "true",
	}, "install", "--namespace", "apps", "--take-ownership", "--set-string", "a=b")
	w := &workspace{chart: j.chart, caFile: "/tmp/ca-file.pem", values: []string{"/config/a.yaml", "/config/b.yaml"}}
	want := "upgrade --disable-openapi-validation --ca-file /tmp/ca-file.pem --insecure-skip-tls-verify --plain-http --timeout 10m0s " +
		"--labels helmcharts.helm.cattle.io/configHash=ABC --namespace apps --take-ownership --set-string a=b " +
		"--values /config/a.yaml --values /config/b.yaml app app/web"
	if got := strings.Join(applyArgs("upgrade", j, w), " "); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestRepositoryArgs(t *testing.T) {
	repository := "repo add --force-update app https://charts.example"
	for name, test := range map[string]struct {
		env         map[string]string
		work        workspace
		want, stdin string
	}{
		"anonymous": {nil, workspace{chart: "app/web"}, repository, ""},
		"password": {
			map[string]string{"AUTH_PASS_CREDENTIALS": "true"},
			workspace{chart: "app/web", username: "u", password: "p", caFile: "/tmp/ca-file.pem"},
			repository + " --ca-file /tmp/ca-file.pem --pass-credentials --username u --password-stdin", "p",
		},
		"client certificate": {
			nil, workspace{chart: "app/web", certFile: "/auth/tls.crt", keyFile: "/auth/tls.key"},
			repository + " --cert-file /auth/tls.crt --key-file /auth/tls.key", "",
		},
		"alias ends at a slash": {
			map[string]string{"NAME": "team/app"}, workspace{chart: "team/web"},
			"repo add --force-update team https://charts.example", "",
		},
		"stable": {
			map[string]string{"REPO": ""}, workspace{chart: "stable/web"},
			"repo add --force-update stable https://charts.helm.sh/stable/", "",
		},
		"oci":        {map[string]string{"REPO": ""}, workspace{chart: "oci://registry.example/web"}, "", ""},
		"direct URL": {nil, workspace{chart: "https://charts.example/web.tgz"}, "", ""},
		"inline":     {nil, workspace{chart: "/tmp/app.tgz", inline: true}, "", ""},
	} {
		args, stdin := repositoryArgs(mustParse(t, test.env, "install"), &test.work)
		if got := strings.Join(args, " "); got != test.want || stdin != test.stdin {
			t.Errorf("%s:\n got %q, %q\nwant %q, %q", name, got, stdin, test.want, test.stdin)
		}
	}
}

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPrepare(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"chart/app.tgz.base64": base64.StdEncoding.EncodeToString([]byte("archive")),
		"config/values-1-000-HelmChartConfig-ValuesContent.yaml": "",
		"config/values-0-001-HelmChart-Values.yaml":              "",
		"config/values-0-000-HelmChart-ValuesContent.yaml":       "",
		"config/ca-file.pem":                                     "REPO-CA",
		"ca-files/root.pem":                                      "ROOT-CA",
		"ca-files/..data/root.pem":                               "ROOT-CA",
		"auth/username":                                          "u\n",
		"auth/password":                                          "p",
		"tmp/keep":                                               "",
	})
	w, err := prepare(mustParse(t, nil, "install"), root)
	if err != nil {
		t.Fatal(err)
	}
	want := &workspace{
		chart: "/tmp/app.tgz", inline: true, caFile: "/tmp/ca-file.pem", username: "u", password: "p",
		values: []string{
			"/config/values-0-000-HelmChart-ValuesContent.yaml", "/config/values-0-001-HelmChart-Values.yaml",
			"/config/values-1-000-HelmChartConfig-ValuesContent.yaml",
		},
	}
	if !reflect.DeepEqual(w, want) {
		t.Errorf("got %+v", w)
	}
	for name, content := range map[string]string{"tmp/app.tgz": "archive", "tmp/ca-file.pem": "REPO-CA\nROOT-CA\n"} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != content {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestPrepareWithoutVolumes(t *testing.T) {
	for _, verb := range []string{"install", "delete"} {
		w, err := prepare(mustParse(t, nil, verb), t.TempDir())
		if err != nil || !reflect.DeepEqual(w, &workspace{chart: "app/web"}) {
			t.Errorf("%s: %+v, %v", verb, w, err)
		}
	}
}

func TestPrepareNamesABrokenChart(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"chart/app.tgz.base64": "*", "tmp/keep": ""})
	if _, err := prepare(mustParse(t, nil, "install"), root); err == nil || !strings.Contains(err.Error(), "HelmChart app") {
		t.Error(err)
	}
}

// fakeHelm records its arguments, and fails for the verb named in FAIL with exit code 7.
const fakeHelm = `#!/bin/sh
echo "$1" >>"$CALLS"
if [ "$1" = "$FAIL" ]; then echo "Error: no $1 today" >&2; exit 7; fi
`

func TestExecute(t *testing.T) {
	for _, test := range []struct {
		what        action
		fail, calls string
		code        int
	}{
		{doInstall, "", "repo install", 0},
		{doInstall, "install", "repo install", 7},
		{doInstall, "repo", "repo", 7},
		{doUpgrade, "upgrade", "repo upgrade", 7},
		{doRetry, "upgrade", "repo upgrade", 0},
		{doReinstall, "", "uninstall repo install", 0},
		{doReinstall, "uninstall", "uninstall repo install", 0},
		{doReinstall, "install", "uninstall repo install", 7},
		{doUninstall, "uninstall", "uninstall", 0},
		{doNothing, "", "", 0},
		{doAbort, "", "", 1},
	} {
		root := t.TempDir()
		write(t, root, map[string]string{"helm": fakeHelm, "calls": ""})
		if err := os.Chmod(filepath.Join(root, "helm"), 0o700); err != nil {
			t.Fatal(err)
		}
		helm := &helmCLI{
			binary: filepath.Join(root, "helm"), log: &progress{},
			env: []string{"CALLS=" + filepath.Join(root, "calls"), "FAIL=" + test.fail},
		}
		j := mustParse(t, nil, "install")
		err := execute(context.Background(), test.what, j, &workspace{chart: j.chart}, helm, helm.log)
		calls, _ := os.ReadFile(filepath.Join(root, "calls"))
		if got := strings.Join(strings.Fields(string(calls)), " "); got != test.calls || exitCode(err) != test.code {
			t.Errorf("%d with failing %q: called %q, %v", test.what, test.fail, got, err)
		}
		var failed *helmFailed
		if errors.As(err, &failed) && failed.detail != "Error: no "+test.fail+" today" {
			t.Errorf("detail %q", failed.detail)
		}
	}
}

func TestPayloadKeepsWhatItDoesNotKnow(t *testing.T) {
	stored := `{"chart":{"n":12345678901234567890},"info":{"new":[1.0],"status":"pending-install"},"manifest":"m"}`
	var p payload
	if err := json.Unmarshal([]byte(stored), &p); err != nil {
		t.Fatal(err)
	}
	if err := p.setStatus("failed"); err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"secrets", "configmaps"} {
		r := &records{resource: resource}
		encoded, err := r.encode(p)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := r.decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(decoded)
		if want := strings.Replace(stored, "pending-install", "failed", 1); string(got) != want {
			t.Errorf("%s: %s", resource, got)
		}
	}
}

func TestRenewManifest(t *testing.T) {
	manifest := `---
# Source: web/templates/psp.yaml
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
---
# Source: web/templates/ingress.yaml
kind: Ingress
apiVersion: "networking.k8s.io/v1beta1"
spec:
  apiVersion: batch/v1beta1
---
apiVersion: coordination.k8s.io/v1beta1
kind: LeaseCandidate
`
	want := `---
# Source: web/templates/ingress.yaml
kind: Ingress
apiVersion: "networking.k8s.io/v1"
spec:
  apiVersion: batch/v1beta1
---
apiVersion: coordination.k8s.io/v1beta1
kind: LeaseCandidate
`
	renewed, changes := renewManifest(manifest)
	if renewed != want || len(changes) != 2 {
		t.Errorf("%q\n%s", changes, renewed)
	}
	if again, changes := renewManifest(renewed); again != renewed || changes != nil {
		t.Errorf("a renewed manifest changed again: %q", changes)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	end := &tail{limit: 5}
	for _, part := range []string{"abc", "defgh", "i\n"} {
		_, _ = end.Write([]byte(part))
	}
	if end.String() != "fghi" {
		t.Error(end.String())
	}
}

func TestExcerptNamesTheObjectAndTheReason(t *testing.T) {
	long := "Error: cannot patch \"web\": " + strings.Repeat("ä", 5000) + ": replicas is no number"
	for said, want := range map[string]string{
		"":                                     "",
		"no error at all":                      "no error at all",
		"W1126 old API\nError: no\n\t* at all": "Error: no\n\t* at all",
		"Error: first\nError: last":            "Error: last",
		"Error: Error: twice":                  "Error: Error: twice",
	} {
		if got := excerpt(said); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
	got := excerpt("W1126 old API\n" + long)
	if len(got) > excerptHead+excerptEnd+len(" … ") || !utf8.ValidString(got) ||
		!strings.HasPrefix(got, "Error: cannot patch") || !strings.HasSuffix(got, "replicas is no number") {
		t.Error(got)
	}
}
