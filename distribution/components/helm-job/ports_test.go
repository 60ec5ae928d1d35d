package main

import (
	"reflect"
	"testing"
)

const manifest = `---
# Source: dns/templates/service.yaml
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: kube-system}
spec:
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53}
--- # Source: another
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}, {port: 443}]}
---
apiVersion: serving.example/v1
kind: Service
metadata: {name: other}
spec: {ports: [{port: 53, protocol: UDP}, {port: 53}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: Service}
`

func TestServicesWithSharedPorts(t *testing.T) {
	found := servicesWithSharedPorts(manifest)
	if len(found) != 1 || found[0].Metadata.Name != "dns" || found[0].Metadata.Namespace != "kube-system" {
		t.Fatalf("%+v", found)
	}
}

func TestPortsAreToldApartByNumberAndProtocol(t *testing.T) {
	wanted := servicesWithSharedPorts(manifest)[0].Spec.Ports
	there := []map[string]any{{"port": 53.0, "protocol": "UDP", "nodePort": 30053.0}}
	if lost := lostPorts(wanted, there); !reflect.DeepEqual(lost, []string{"53/TCP"}) {
		t.Fatal(lost)
	}
	ports := withNodePorts(wanted, there)
	if ports[0]["nodePort"] != 30053.0 || ports[1]["nodePort"] != 30053.0 || wanted[0]["nodePort"] != nil {
		t.Fatal(ports)
	}
	if lost := lostPorts(wanted, wanted); lost != nil {
		t.Fatal(lost)
	}
}
