package conformance

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/projectcalico/api/pkg/lib/numorstring"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// fill sets every field below v to something that is not zero and survives JSON.
func fill(v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[numorstring.Port]():
		v.Set(reflect.ValueOf(numorstring.Port{MinPort: 1000, MaxPort: 2000}))
		return
	case reflect.TypeFor[numorstring.Protocol]():
		v.Set(reflect.ValueOf(numorstring.ProtocolFromString("UDP")))
		return
	case reflect.TypeFor[metav1.Time]():
		v.Set(reflect.ValueOf(metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local))))
		return
	case reflect.TypeFor[metav1.FieldsV1]():
		v.Set(reflect.ValueOf(metav1.FieldsV1{Raw: []byte(`{"f":1}`)}))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		element := reflect.New(v.Type().Elem()).Elem()
		fill(element)
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), element)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(7)
	default:
		panic("no value for " + v.Type().String())
	}
}

// scribble changes everything below v in place, without replacing maps, slices and what pointers point to.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*time.Location]() {
			scribble(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scribble(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		v.SetMapIndex(reflect.ValueOf("another").Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	default:
		v.SetZero()
	}
}

func full(o runtime.Object) runtime.Object {
	n := reflect.New(reflect.TypeOf(o).Elem())
	fill(n.Elem())
	return n.Interface().(runtime.Object)
}

func TestEveryKindSurvivesJSON(t *testing.T) {
	for _, o := range v3.AllKnownTypes {
		before := full(o)
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(kindOf(o), err)
		}
		after := reflect.New(reflect.TypeOf(o).Elem()).Interface()
		if err := json.Unmarshal(text, after); err != nil {
			t.Fatal(kindOf(o), err)
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s changed on its way through JSON: %s", kindOf(o), text)
		}
	}
}

func TestDeepCopiesShareNothing(t *testing.T) {
	for _, o := range v3.AllKnownTypes {
		original := full(o)
		untouched, err := json.Marshal(original)
		if err != nil {
			t.Fatal(err)
		}
		duplicate := original.DeepCopyObject()
		if !reflect.DeepEqual(original, duplicate) {
			t.Errorf("%s: the copy differs", kindOf(o))
		}
		scribble(reflect.ValueOf(duplicate).Elem())
		after, err := json.Marshal(original)
		if err != nil {
			t.Fatal(err)
		}
		if string(after) != string(untouched) {
			t.Errorf("%s: changing the copy changed the original", kindOf(o))
		}
	}
}

func TestEmptyObjectsCopy(t *testing.T) {
	for _, o := range v3.AllKnownTypes {
		if !reflect.DeepEqual(o, o.DeepCopyObject()) {
			t.Errorf("%s", kindOf(o))
		}
	}
}

func TestPolicyAsUsersWriteIt(t *testing.T) {
	const text = `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: allow-dns}
spec:
  order: 10.5
  selector: all()
  types: [Ingress, Egress]
  egress:
  - action: Allow
    protocol: udp
    destination: {ports: [53, "9000:9100", metrics]}
  - action: Deny
    protocol: 6
`
	var policy v3.GlobalNetworkPolicy
	if err := yaml.UnmarshalStrict([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	allow, deny := policy.Spec.Egress[0], policy.Spec.Egress[1]
	if *allow.Protocol != numorstring.ProtocolFromString("UDP") || *deny.Protocol != numorstring.ProtocolFromInt(6) {
		t.Fatal(allow.Protocol, deny.Protocol)
	}
	if ports := allow.Destination.Ports; ports[0] != numorstring.SinglePort(53) || ports[1].MaxPort != 9100 || ports[2].PortName != "metrics" {
		t.Fatal(ports)
	}
	if *policy.Spec.Order != 10.5 || policy.Spec.Types[1] != v3.PolicyTypeEgress {
		t.Fatal(policy.Spec)
	}
}

func TestConstructorsNameTheirKind(t *testing.T) {
	for _, m := range []metav1.TypeMeta{
		v3.NewFelixConfiguration().TypeMeta, v3.NewGlobalNetworkPolicyList().TypeMeta, v3.NewProfile().TypeMeta,
	} {
		if m.APIVersion != "projectcalico.org/v3" || m.Kind == "" {
			t.Fatal(m)
		}
	}
}

func TestDesignatedTables(t *testing.T) {
	if n := (v3.RouteTableRanges{{Min: 1, Max: 250}, {Min: 300, Max: 300}}).NumDesignatedTables(); n != 251 {
		t.Fatal(n)
	}
}
