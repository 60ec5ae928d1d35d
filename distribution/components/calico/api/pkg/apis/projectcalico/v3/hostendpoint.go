package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectcalico/api/pkg/lib/numorstring"
)

// HostEndpoint puts an interface of a node under policy.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type HostEndpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec HostEndpointSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type HostEndpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []HostEndpoint `json:"items"`
}

const (
	KindHostEndpoint     = "HostEndpoint"
	KindHostEndpointList = "HostEndpointList"
)

func NewHostEndpoint() *HostEndpoint {
	return &HostEndpoint{TypeMeta: typeMeta(KindHostEndpoint)}
}

func NewHostEndpointList() *HostEndpointList {
	return &HostEndpointList{TypeMeta: typeMeta(KindHostEndpointList)}
}

type HostEndpointSpec struct {
	Node          string         `json:"node,omitempty" validate:"omitempty,name"`
	InterfaceName string         `json:"interfaceName,omitempty" validate:"omitempty,interface"`
	ExpectedIPs   []string       `json:"expectedIPs,omitempty" validate:"omitempty,dive,ip"`
	Profiles      []string       `json:"profiles,omitempty" validate:"omitempty,dive,name"`
	Ports         []EndpointPort `json:"ports,omitempty" validate:"dive"`
}

type EndpointPort struct {
	Name     string               `json:"name" validate:"portName"`
	Protocol numorstring.Protocol `json:"protocol"`
	Port     uint16               `json:"port" validate:"gt=0"`
}
