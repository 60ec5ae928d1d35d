package nodecache

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// env is what the kubelet gives: the Service that the chart makes.
var env = map[string]string{"KUBE_DNS_UPSTREAM_SERVICE_HOST": "10.43.7.7"}

func corefileOf(t *testing.T, base string, configMap map[string]string) *corefile {
	t.Helper()
	directory := t.TempDir()
	write(t, filepath.Join(directory, "Corefile.base"), base)
	for key, text := range configMap {
		write(t, filepath.Join(directory, key), text)
	}
	opts := &options{
		addresses: []netip.Addr{netip.MustParseAddr("169.254.20.10"), netip.MustParseAddr("fd00::a")},
		port:      53,
		base:      filepath.Join(directory, "Corefile.base"),
		upstreams: directory,
		service:   "kube-dns-upstream",
	}
	return &corefile{opts: opts, getenv: func(name string) string { return env[name] }}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEveryNameIsReplaced(t *testing.T) {
	base := "bind __PILLAR__LOCAL__DNS__\nforward . __PILLAR__CLUSTER__DNS__\nforward . __PILLAR__UPSTREAM__SERVERS__\n"
	for _, test := range []struct {
		configMap map[string]string
		upstream  string
	}{
		{nil, "/etc/resolv.conf"},
		{map[string]string{"upstreamNameservers": "[]"}, "/etc/resolv.conf"},
		{map[string]string{"upstreamNameservers": `["9.9.9.9", "1.1.1.1"]`}, "9.9.9.9 1.1.1.1"},
	} {
		want := "bind 169.254.20.10 fd00::a\nforward . 10.43.7.7\nforward . " + test.upstream + "\n"
		if got, err := corefileOf(t, base, test.configMap).render(); err != nil || got != want {
			t.Errorf("%v: %q, %v", test.configMap, got, err)
		}
	}
}

func TestADomainWithServersOfItsOwnHasABlock(t *testing.T) {
	got, err := corefileOf(t, "", map[string]string{"stubDomains": `{"b.example": ["10.0.0.1"], "a.example": ["10.0.0.2", "10.0.0.3"]}`}).render()
	if err != nil {
		t.Fatal(err)
	}
	first, second := strings.Index(got, "a.example:53 {"), strings.Index(got, "b.example:53 {")
	if first < 0 || second < first || !strings.Contains(got, "forward . 10.0.0.2 10.0.0.3\n") {
		t.Error(got)
	}
}

func TestWhatCannotBeRenderedIsNamed(t *testing.T) {
	wrong := corefileOf(t, "", map[string]string{"stubDomains": "a.example"})
	if _, err := wrong.render(); err == nil || !strings.Contains(err.Error(), "stubDomains") {
		t.Error(err)
	}
	missing := corefileOf(t, "", nil)
	missing.opts.base += "x"
	if _, err := missing.render(); err == nil || !strings.Contains(err.Error(), missing.opts.base) {
		t.Error(err)
	}
	unknown := corefileOf(t, "__PILLAR__CLUSTER__DNS__", nil)
	unknown.opts.service = "other"
	if _, err := unknown.render(); err == nil || !strings.Contains(err.Error(), "OTHER_SERVICE_HOST") {
		t.Error(err)
	}
}

func TestAnErrorLeavesTheLastCorefile(t *testing.T) {
	corefile := corefileOf(t, "x", nil)
	if input, err := corefile.load("dns"); err != nil || string(input.Body()) != "x" || input.ServerType() != "dns" {
		t.Error(input, err)
	}
	write(t, filepath.Join(corefile.opts.upstreams, "stubDomains"), "{")
	if input, err := corefile.load("dns"); err == nil || input != nil {
		t.Error(input, err)
	}
}
