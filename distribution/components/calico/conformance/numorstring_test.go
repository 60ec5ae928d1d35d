package conformance

import (
	"encoding/json"
	"testing"

	"github.com/projectcalico/api/pkg/lib/numorstring"
)

func TestPorts(t *testing.T) {
	for _, c := range []struct {
		json, back string
		want       numorstring.Port
	}{
		{`80`, `80`, numorstring.SinglePort(80)},
		{`"80"`, `80`, numorstring.SinglePort(80)},
		{`"1000:2000"`, `"1000:2000"`, numorstring.Port{MinPort: 1000, MaxPort: 2000}},
		{`"http-alt"`, `"http-alt"`, numorstring.NamedPort("http-alt")},
		{`0`, `0`, numorstring.Port{}},
	} {
		var p numorstring.Port
		if err := json.Unmarshal([]byte(c.json), &p); err != nil || p != c.want {
			t.Errorf("%s: %+v %v", c.json, p, err)
		}
		if back, err := json.Marshal(p); err != nil || string(back) != c.back {
			t.Errorf("%s: written as %s %v", c.json, back, err)
		}
	}
	for _, bad := range []string{`65536`, `-1`, `"65536"`, `"2000:1000"`, `"1:65536"`, `"-50:-1"`, `"a b"`, `""`, `true`} {
		var p numorstring.Port
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s was taken for %+v", bad, p)
		}
	}
	if _, err := numorstring.PortFromRange(2, 1); err == nil {
		t.Error("a range that ends before it begins")
	}
}

func TestProtocols(t *testing.T) {
	for _, c := range []struct {
		json, back, v1 string
		ports          bool
	}{
		{`"tcp"`, `"TCP"`, "tcp", true},
		{`"icmpV6"`, `"ICMPv6"`, "icmpv6", false},
		{`"udplite"`, `"UDPLite"`, "udplite", false},
		{`"SCTP"`, `"SCTP"`, "sctp", true},
		{`6`, `6`, "6", true},
		{`"17"`, `17`, "17", true},
		{`47`, `47`, "47", false},
		{`"Other"`, `"Other"`, "other", false},
	} {
		var p numorstring.Protocol
		if err := json.Unmarshal([]byte(c.json), &p); err != nil {
			t.Errorf("%s: %v", c.json, err)
		}
		if back, err := json.Marshal(p); err != nil || string(back) != c.back {
			t.Errorf("%s: written as %s %v", c.json, back, err)
		}
		v1 := p.ToV1()
		if v1.String() != c.v1 || p.SupportsPorts() != c.ports || v1.SupportsPorts() != c.ports {
			t.Errorf("%s: version 1 %s, ports %v", c.json, v1, p.SupportsPorts())
		}
	}
	for _, bad := range []string{`256`, `-1`, `true`} {
		var p numorstring.Protocol
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s was taken for %v", bad, p)
		}
	}
	if p := numorstring.ProtocolV3FromProtocolV1(numorstring.ProtocolFromStringV1("UDPLite")); p.String() != "UDPLite" {
		t.Error(p)
	}
	if _, err := numorstring.ProtocolFromString("TCP").NumValue(); err == nil {
		t.Error("a name has no number")
	}
}

func TestASNumbers(t *testing.T) {
	for text, want := range map[string]numorstring.ASNumber{`64512`: 64512, `"64512"`: 64512, `"1.10"`: 65546, `4294967295`: 4294967295} {
		var a numorstring.ASNumber
		if err := json.Unmarshal([]byte(text), &a); err != nil || a != want {
			t.Errorf("%s: %v %v", text, a, err)
		}
	}
	for _, bad := range []string{`-1`, `4294967296`, `"1.65536"`, `"x"`, `"1.2.3"`} {
		var a numorstring.ASNumber
		if err := json.Unmarshal([]byte(bad), &a); err == nil {
			t.Errorf("%s was taken for %v", bad, a)
		}
	}
}
