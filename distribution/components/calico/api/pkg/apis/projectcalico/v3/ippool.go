package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IPPool is a range that Calico gives pod and tunnel addresses from. Canal takes addresses from the node instead.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type IPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec IPPoolSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type IPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []IPPool `json:"items"`
}

const (
	KindIPPool     = "IPPool"
	KindIPPoolList = "IPPoolList"
)

func NewIPPool() *IPPool {
	return &IPPool{TypeMeta: typeMeta(KindIPPool)}
}

func NewIPPoolList() *IPPoolList {
	return &IPPoolList{TypeMeta: typeMeta(KindIPPoolList)}
}

type IPPoolSpec struct {
	CIDR             string             `json:"cidr" validate:"net"`
	VXLANMode        VXLANMode          `json:"vxlanMode,omitempty" validate:"omitempty,vxlanMode"`
	IPIPMode         IPIPMode           `json:"ipipMode,omitempty" validate:"omitempty,ipIpMode"`
	NATOutgoing      bool               `json:"natOutgoing,omitempty"`
	Disabled         bool               `json:"disabled,omitempty"`
	DisableBGPExport bool               `json:"disableBGPExport,omitempty" validate:"omitempty"`
	BlockSize        int                `json:"blockSize,omitempty"`
	NodeSelector     string             `json:"nodeSelector,omitempty" validate:"omitempty,selector"`
	AllowedUses      []IPPoolAllowedUse `json:"allowedUses,omitempty" validate:"omitempty"`

	// Read from objects of the version 1 API, never written.
	IPIP          *IPIPConfiguration `json:"ipip,omitempty" validate:"omitempty,mustBeNil"`
	NATOutgoingV1 bool               `json:"nat-outgoing,omitempty" validate:"omitempty,mustBeFalse"`
}

type IPIPConfiguration struct {
	Enabled bool      `json:"enabled,omitempty"`
	Mode    EncapMode `json:"mode,omitempty" validate:"ipIpMode"`
}

type (
	VXLANMode        string
	IPIPMode         string
	EncapMode        string
	IPPoolAllowedUse string
)

const (
	VXLANModeNever       VXLANMode = "Never"
	VXLANModeAlways      VXLANMode = "Always"
	VXLANModeCrossSubnet VXLANMode = "CrossSubnet"

	IPIPModeNever       IPIPMode = "Never"
	IPIPModeAlways      IPIPMode = "Always"
	IPIPModeCrossSubnet IPIPMode = "CrossSubnet"

	Undefined   EncapMode = ""
	Always      EncapMode = "always"
	CrossSubnet EncapMode = "cross-subnet"

	DefaultMode = Always

	IPPoolAllowedUseWorkload IPPoolAllowedUse = "Workload"
	IPPoolAllowedUseTunnel   IPPoolAllowedUse = "Tunnel"
)
