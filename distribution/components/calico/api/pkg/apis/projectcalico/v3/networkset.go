package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NetworkSet is a labelled list of networks for the selectors of policies in its namespace.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type NetworkSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec NetworkSetSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type NetworkSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []NetworkSet `json:"items"`
}

const (
	KindNetworkSet     = "NetworkSet"
	KindNetworkSetList = "NetworkSetList"
)

func NewNetworkSet() *NetworkSet {
	return &NetworkSet{TypeMeta: typeMeta(KindNetworkSet)}
}

func NewNetworkSetList() *NetworkSetList {
	return &NetworkSetList{TypeMeta: typeMeta(KindNetworkSetList)}
}

type NetworkSetSpec struct {
	Nets []string `json:"nets,omitempty" validate:"omitempty,dive,cidr"`
}

// GlobalNetworkSet is a labelled list of networks for the selectors of all policies.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type GlobalNetworkSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec GlobalNetworkSetSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type GlobalNetworkSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []GlobalNetworkSet `json:"items"`
}

const (
	KindGlobalNetworkSet     = "GlobalNetworkSet"
	KindGlobalNetworkSetList = "GlobalNetworkSetList"
)

func NewGlobalNetworkSet() *GlobalNetworkSet {
	return &GlobalNetworkSet{TypeMeta: typeMeta(KindGlobalNetworkSet)}
}

func NewGlobalNetworkSetList() *GlobalNetworkSetList {
	return &GlobalNetworkSetList{TypeMeta: typeMeta(KindGlobalNetworkSetList)}
}

type GlobalNetworkSetSpec struct {
	Nets []string `json:"nets,omitempty" validate:"omitempty,dive,cidr"`
}
