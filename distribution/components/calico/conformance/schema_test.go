package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	"github.com/projectcalico/api/pkg/lib/numorstring"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// schema is what the tests read of an OpenAPI schema.
type schema struct {
	Type                 string
	Properties           map[string]schema
	Items                *schema
	AdditionalProperties *schema
	IntOrString          bool `json:"x-kubernetes-int-or-string"`
}

type definition struct {
	Spec struct {
		Names    struct{ Kind string }
		Versions []struct {
			Schema struct{ OpenAPIV3Schema schema }
		}
	}
}

// ownKinds have their types in the Calico module itself.
var ownKinds = map[string]bool{"BlockAffinity": true, "IPAMBlock": true, "IPAMConfig": true, "IPAMHandle": true}

func schemas(t *testing.T) map[string]schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/projectcalico/calico").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "libcalico-go/config/crd/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no CRDs in the Calico module", err)
	}
	found := map[string]schema{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d definition
		if err := yaml.Unmarshal(content, &d); err != nil {
			t.Fatal(file, err)
		}
		found[d.Spec.Names.Kind] = d.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	return found
}

func kindOf(o runtime.Object) string { return reflect.TypeOf(o).Elem().Name() }

func TestEveryFieldOfEverySchema(t *testing.T) {
	types := map[string]reflect.Type{}
	for _, o := range v3.AllKnownTypes {
		types[kindOf(o)] = reflect.TypeOf(o).Elem()
	}
	for kind, s := range schemas(t) {
		if ownKinds[kind] {
			continue
		}
		goType, known := types[kind]
		if !known {
			t.Errorf("%s: no type", kind)
			continue
		}
		for _, part := range []string{"Spec", "Status"} {
			field, has := goType.FieldByName(part)
			partSchema, described := s.Properties[strings.ToLower(part)]
			if has != described {
				t.Errorf("%s.%s: in the type %v, in the schema %v", kind, part, has, described)
			} else if has {
				compare(t, kind+"."+part, field.Type, partSchema)
			}
		}
	}
}

func compare(t *testing.T, path string, goType reflect.Type, s schema) {
	t.Helper()
	if goType.Kind() == reflect.Pointer {
		goType = goType.Elem()
	}
	if want := shape(goType); want != shapeOf(s) {
		t.Errorf("%s: %s is %s, the schema says %s", path, goType, want, shapeOf(s))
		return
	}
	switch {
	case s.Items != nil:
		compare(t, path+"[]", goType.Elem(), *s.Items)
	case s.AdditionalProperties != nil:
		compare(t, path+"{}", goType.Elem(), *s.AdditionalProperties)
	case s.Type == "object":
		compareProperties(t, path, goType, s)
	}
}

func compareProperties(t *testing.T, path string, goType reflect.Type, s schema) {
	t.Helper()
	fields := jsonFields(goType)
	for name, property := range s.Properties {
		if field, ok := fields[name]; ok {
			compare(t, path+"."+name, field, property)
		} else {
			t.Errorf("%s.%s: in the schema only", path, name)
		}
	}
	for name := range fields {
		if _, ok := s.Properties[name]; !ok {
			t.Errorf("%s.%s: in the type only", path, name)
		}
	}
}

func jsonFields(goType reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(goType) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && !field.Anonymous {
			fields[name] = field.Type
		}
	}
	return fields
}

func shapeOf(s schema) string {
	if s.IntOrString {
		return "integer or string"
	}
	return s.Type
}

func shape(goType reflect.Type) string {
	switch goType {
	case reflect.TypeFor[numorstring.Port](), reflect.TypeFor[numorstring.Protocol]():
		return "integer or string"
	case reflect.TypeFor[metav1.Duration](), reflect.TypeFor[metav1.Time]():
		return "string"
	}
	switch goType.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "string"
	case reflect.Slice:
		return "array"
	case reflect.Map, reflect.Struct:
		return "object"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "integer"
	}
	return fmt.Sprint(goType.Kind())
}

func TestKnownKinds(t *testing.T) {
	var kinds []string
	for _, o := range v3.AllKnownTypes {
		if kind := kindOf(o); !strings.HasSuffix(kind, "List") {
			kinds = append(kinds, kind)
		}
	}
	sort.Strings(kinds)
	want := "BGPConfiguration BGPFilter BGPPeer CalicoNodeStatus ClusterInformation FelixConfiguration GlobalNetworkPolicy " +
		"GlobalNetworkSet HostEndpoint IPPool IPReservation KubeControllersConfiguration NetworkPolicy NetworkSet Profile"
	if got := strings.Join(kinds, " "); got != want {
		t.Fatal(got)
	}
	if err := v3.AddToScheme(runtime.NewScheme()); err != nil {
		t.Fatal(err)
	}
}
