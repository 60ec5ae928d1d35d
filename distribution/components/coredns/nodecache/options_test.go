package nodecache

import (
	"strings"
	"testing"
)

func TestTheChartsCommandLine(t *testing.T) {
	opts, err := parseOptions([]string{"-localip", "169.254.20.10,10.43.0.10", "-conf", "/etc/Corefile", "-upstreamsvc", "kube-dns-upstream"})
	if err != nil {
		t.Fatal(err)
	}
	if len(opts.addresses) != 2 || opts.service != "kube-dns-upstream" || !opts.setUpDevice || !opts.setUpRules || opts.skipTeardown {
		t.Errorf("%+v", opts)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for word, args := range map[string][]string{
		"-localip":      {"-localip", "169.254.20"},
		`""`:            {},
		"extra":         {"-localip", "169.254.20.10", "extra"},
		"-syncinterval": {"-localip", "169.254.20.10", "-syncinterval", "0s"},
	} {
		if _, err := parseOptions(args); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
