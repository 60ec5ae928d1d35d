package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectcalico/api/pkg/lib/numorstring"
)

// BGPPeer is a peering of one node, of some nodes, or of all.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type BGPPeer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec BGPPeerSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type BGPPeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []BGPPeer `json:"items"`
}

const (
	KindBGPPeer     = "BGPPeer"
	KindBGPPeerList = "BGPPeerList"
)

func NewBGPPeer() *BGPPeer {
	return &BGPPeer{TypeMeta: typeMeta(KindBGPPeer)}
}

func NewBGPPeerList() *BGPPeerList {
	return &BGPPeerList{TypeMeta: typeMeta(KindBGPPeerList)}
}

type BGPPeerSpec struct {
	Node                     string               `json:"node,omitempty" validate:"omitempty,name"`
	NodeSelector             string               `json:"nodeSelector,omitempty" validate:"omitempty,selector"`
	PeerIP                   string               `json:"peerIP,omitempty" validate:"omitempty,IP:port"`
	PeerSelector             string               `json:"peerSelector,omitempty" validate:"omitempty,selector"`
	ASNumber                 numorstring.ASNumber `json:"asNumber,omitempty"`
	KeepOriginalNextHop      bool                 `json:"keepOriginalNextHop,omitempty"`
	Password                 *BGPPassword         `json:"password,omitempty" validate:"omitempty"`
	SourceAddress            SourceAddress        `json:"sourceAddress,omitempty" validate:"omitempty,sourceAddress"`
	MaxRestartTime           *metav1.Duration     `json:"maxRestartTime,omitempty"`
	NumAllowedLocalASNumbers *int32               `json:"numAllowedLocalASNumbers,omitempty" validate:"omitempty"`
	TTLSecurity              *uint8               `json:"ttlSecurity,omitempty"`
	ReachableBy              string               `json:"reachableBy,omitempty" validate:"omitempty,reachableBy"`
	Filters                  []string             `json:"filters,omitempty" validate:"omitempty,dive,name"`
}

// SourceAddress says which local address a peering is made from.
type SourceAddress string

const (
	SourceAddressUseNodeIP SourceAddress = "UseNodeIP"
	SourceAddressNone      SourceAddress = "None"
)
