// Package v3 holds the Calico resource types that Calico 3.28 is compiled against.
//
// It is a stand-in: the module github.com/projectcalico/api cannot be had from the Go module proxy, so
// these types were written for this distribution from the CRD schemas inside the Calico module and from
// what Calico's code reads and writes. What a field means is told by the description in the schema, not
// here. Four struct tags carry behaviour:
//
//	json               the name in the CRD schema
//	validate           a rule of Calico's own validator (libcalico-go/lib/validator/v3)
//	confignamev1       the name of a Felix parameter where it differs from the field's name
//	configv1timescale  the unit of a Felix parameter that is not given in seconds
//
// The package conformance of the recipe checks every field against the schemas.
//
// +k8s:deepcopy-gen=package
package v3

//go:generate go run k8s.io/code-generator/cmd/deepcopy-gen@v0.29.15 --input-dirs github.com/projectcalico/api/pkg/apis/projectcalico/v3 -O zz_generated.deepcopy --go-header-file /dev/null --output-base ../../../.. --trim-path-prefix github.com/projectcalico/api
