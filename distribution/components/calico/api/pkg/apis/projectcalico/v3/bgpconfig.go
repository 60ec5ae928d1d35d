package v3

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectcalico/api/pkg/lib/numorstring"
)

// BGPConfiguration named "default" is for all nodes, "node.<name>" for one.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type BGPConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec BGPConfigurationSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type BGPConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []BGPConfiguration `json:"items"`
}

const (
	KindBGPConfiguration     = "BGPConfiguration"
	KindBGPConfigurationList = "BGPConfigurationList"
)

func NewBGPConfiguration() *BGPConfiguration {
	return &BGPConfiguration{TypeMeta: typeMeta(KindBGPConfiguration)}
}

func NewBGPConfigurationList() *BGPConfigurationList {
	return &BGPConfigurationList{TypeMeta: typeMeta(KindBGPConfigurationList)}
}

type BGPConfigurationSpec struct {
	LogSeverityScreen      string                       `json:"logSeverityScreen,omitempty" validate:"omitempty,logLevel"`
	NodeToNodeMeshEnabled  *bool                        `json:"nodeToNodeMeshEnabled,omitempty" validate:"omitempty"`
	ASNumber               *numorstring.ASNumber        `json:"asNumber,omitempty" validate:"omitempty"`
	ServiceLoadBalancerIPs []ServiceLoadBalancerIPBlock `json:"serviceLoadBalancerIPs,omitempty" validate:"omitempty,dive"`
	ServiceExternalIPs     []ServiceExternalIPBlock     `json:"serviceExternalIPs,omitempty" validate:"omitempty,dive"`
	ServiceClusterIPs      []ServiceClusterIPBlock      `json:"serviceClusterIPs,omitempty" validate:"omitempty,dive"`
	Communities            []Community                  `json:"communities,omitempty" validate:"omitempty,dive"`
	PrefixAdvertisements   []PrefixAdvertisement        `json:"prefixAdvertisements,omitempty" validate:"omitempty,dive"`
	ListenPort             uint16                       `json:"listenPort,omitempty" validate:"omitempty,gt=0"`
	NodeMeshPassword       *BGPPassword                 `json:"nodeMeshPassword,omitempty" validate:"omitempty"`
	NodeMeshMaxRestartTime *metav1.Duration             `json:"nodeMeshMaxRestartTime,omitempty"`
	BindMode               *BindMode                    `json:"bindMode,omitempty"`
	IgnoredInterfaces      []string                     `json:"ignoredInterfaces,omitempty" validate:"omitempty,dive,ignoredInterface"`
}

// BindMode says which addresses the BGP daemon listens on.
type BindMode string

const (
	BindModeNone   BindMode = "None"
	BindModeNodeIP BindMode = "NodeIP"
)

type ServiceLoadBalancerIPBlock struct {
	CIDR string `json:"cidr,omitempty" validate:"omitempty,net"`
}

type ServiceExternalIPBlock struct {
	CIDR string `json:"cidr,omitempty" validate:"omitempty,net"`
}

type ServiceClusterIPBlock struct {
	CIDR string `json:"cidr,omitempty" validate:"omitempty,net"`
}

// Community names a value that PrefixAdvertisement may refer to.
type Community struct {
	Name  string `json:"name,omitempty" validate:"required,name"`
	Value string `json:"value,omitempty" validate:"required"`
}

type PrefixAdvertisement struct {
	CIDR        string   `json:"cidr,omitempty" validate:"required,net"`
	Communities []string `json:"communities,omitempty" validate:"required"`
}

// BGPPassword points to a key of a secret in the namespace of the calico-node pod.
type BGPPassword struct {
	SecretKeyRef *corev1.SecretKeySelector `json:"secretKeyRef,omitempty"`
}
