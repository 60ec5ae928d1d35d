package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flannel-io/flannel/pkg/ipmatch"
	corev1 "k8s.io/api/core/v1"
)

var canalArgs = []string{"--ip-masq", "--kube-subnet-mgr", "--iptables-forward-rules=false", "--ip-blackhole-route", "--healthz-port=8081"}

func TestCanalCommandLine(t *testing.T) {
	o, err := parseOptions(canalArgs, []string{"FLANNELD_IFACE=", "FLANNELD_IFACE_REGEX=^eth", "FLANNELD_IP_MASQ=true", "HOME=/"})
	if err != nil {
		t.Fatal(err)
	}
	if !o.ipMasq || o.forwardRules || !o.blackholeRoute || o.healthzPort != 8081 || len(o.iface) != 0 {
		t.Fatalf("%+v", o)
	}
	if got := o.ifaceRegex.String(); got != "^eth" {
		t.Fatalf("iface-regex from the environment: %q", got)
	}
	if o.netConfPath != "/etc/kube-flannel/net-conf.json" || o.subnetFile != "/run/flannel/subnet.env" || !o.setNetworkAvailable {
		t.Fatalf("defaults: %+v", o)
	}
}

func TestCommandLineWinsOverEnvironment(t *testing.T) {
	o, err := parseOptions([]string{"--ip-masq=false", "--iface=eth1"}, []string{"FLANNELD_IP_MASQ=true", "FLANNELD_IFACE=eth0"})
	if err != nil {
		t.Fatal(err)
	}
	if o.ipMasq || o.iface.String() != "eth1" {
		t.Fatalf("%+v", o)
	}
}

func TestRefusedOptions(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  []string
		want string
	}{
		{args: []string{"--kube-subnet-mgr=false"}, want: "etcd"},
		{args: []string{"--iptables-resync=0"}, want: "iptables-resync"},
		{args: []string{"--no-such-flag"}, want: "no-such-flag"},
		{args: []string{"stray"}, want: "stray"},
		{env: []string{"FLANNELD_HEALTHZ_PORT=x"}, want: "FLANNELD_HEALTHZ_PORT"},
	} {
		if _, err := parseOptions(c.args, c.env); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v: %v", c.args, c.env, err)
		}
	}
}

func TestInterfaceCandidates(t *testing.T) {
	o, _ := parseOptions([]string{"--iface-regex=r", "--iface=a", "--iface=b", "--iface-can-reach=10.0.0.1"}, nil)
	var got []string
	for _, c := range o.interfaceCandidates(ipmatch.PublicIPOpts{PublicIP: "10.0.0.9"}) {
		got = append(got, c.String())
	}
	want := "interface a,interface b,interface like r,interface towards 10.0.0.1"
	if strings.Join(got, ",") != want {
		t.Fatal(got)
	}
	none, _ := parseOptions(nil, nil)
	if c := none.interfaceCandidates(none.publicAddresses("192.0.2.1", ""))[0]; c.name != "192.0.2.1" {
		t.Fatalf("annotated address: %+v", c)
	}
	if c := none.interfaceCandidates(ipmatch.PublicIPOpts{})[0]; c != (candidate{}) {
		t.Fatalf("default route: %+v", c)
	}
}

func TestPreviousSubnets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "subnet.env")
	if p := readPrevious(path); !p.network.Empty() || !p.subnet6.Empty() {
		t.Fatalf("missing file: %+v", p)
	}
	content := "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_SUBNET=10.42.1.1/24\nFLANNEL_IPV6_NETWORK=broken\nFLANNEL_IPV6_SUBNET=fd00:42::1/64\nFLANNEL_MTU=1450\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p := readPrevious(path)
	if p.network.String() != "10.42.0.0/16" || p.subnet.String() != "10.42.1.0/24" || p.subnet6.String() != "fd00:42::/64" {
		t.Fatalf("%+v", p)
	}
	if !p.network6.Empty() || p.network6.Equal(p.subnet6) {
		t.Fatal("an unusable network must compare as empty, without a nil address")
	}
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealthSaysWhatItWaitsFor(t *testing.T) {
	state := newReadiness()
	h := healthHandler(state)
	state.wait("join the flannel network")
	if code, _ := get(t, h, "/healthz"); code != http.StatusOK {
		t.Fatal(code)
	}
	if code, text := get(t, h, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(text, "join the flannel network") {
		t.Fatal(code, text)
	}
	state.ready()
	if code, _ := get(t, h, "/readyz"); code != http.StatusOK {
		t.Fatal(code)
	}
}

func TestPersistRetriesAndStops(t *testing.T) {
	state := newReadiness()
	calls := 0
	err := persist(context.Background(), state, "try", func(context.Context) error {
		if calls++; calls < 2 {
			return errors.New("node \"a\" pod cidr not assigned")
		}
		return nil
	})
	if err != nil || calls != 2 {
		t.Fatal(err, calls)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = persist(ctx, state, "try", func(context.Context) error { return errors.New("never") })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if _, text := state.describe(); !strings.Contains(text, "try: never") {
		t.Fatal(text)
	}
}

func TestAddressesOfTheNode(t *testing.T) {
	all := []corev1.NodeAddress{
		{Type: corev1.NodeExternalIP, Address: "192.0.2.1"},
		{Type: corev1.NodeInternalIP, Address: "fd00::5"},
		{Type: corev1.NodeInternalIP, Address: "10.1.0.5"},
		{Type: corev1.NodeInternalIP, Address: "10.2.0.5"},
		{Type: corev1.NodeHostName, Address: "a"},
	}
	for _, c := range []struct {
		families families
		want     ipmatch.PublicIPOpts
	}{
		{families{v4: true}, ipmatch.PublicIPOpts{PublicIP: "10.1.0.5"}},
		{families{v6: true}, ipmatch.PublicIPOpts{PublicIPv6: "fd00::5"}},
		{families{true, true}, ipmatch.PublicIPOpts{PublicIP: "10.1.0.5", PublicIPv6: "fd00::5"}},
	} {
		if got := internalAddresses(all, c.families); got != c.want {
			t.Errorf("%+v: %+v", c.families, got)
		}
	}
}

func TestTheLoopbackInterfaceReachesNobody(t *testing.T) {
	stack, _ := ipmatch.GetIPFamily(true, false)
	for _, c := range []struct{ address, want string }{{"127.0.0.1", "loopback"}, {"", "no InternalIP"}, {"192.0.2.77", "192.0.2.77"}} {
		if _, err := interfaceOfNode(ipmatch.PublicIPOpts{PublicIP: c.address}, stack); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.address, err)
		}
	}
}

func TestWhoNamesTheInterfaceIsFollowed(t *testing.T) {
	for _, args := range [][]string{{"--iface=a"}, {"--iface-regex=a"}, {"--iface-can-reach=192.0.2.1"}} {
		if o, _ := parseOptions(args, nil); !o.namesInterface() {
			t.Error(args)
		}
	}
	if o, _ := parseOptions(canalArgs, nil); o.namesInterface() {
		t.Error("nobody named one")
	}
}
