package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BGPFilter decides which routes go out to and come in from the peers that name it.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type BGPFilter struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec BGPFilterSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type BGPFilterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []BGPFilter `json:"items"`
}

const (
	KindBGPFilter     = "BGPFilter"
	KindBGPFilterList = "BGPFilterList"
)

func NewBGPFilter() *BGPFilter {
	return &BGPFilter{TypeMeta: typeMeta(KindBGPFilter)}
}

func NewBGPFilterList() *BGPFilterList {
	return &BGPFilterList{TypeMeta: typeMeta(KindBGPFilterList)}
}

type BGPFilterSpec struct {
	ExportV4 []BGPFilterRuleV4 `json:"exportV4,omitempty" validate:"omitempty,dive"`
	ImportV4 []BGPFilterRuleV4 `json:"importV4,omitempty" validate:"omitempty,dive"`
	ExportV6 []BGPFilterRuleV6 `json:"exportV6,omitempty" validate:"omitempty,dive"`
	ImportV6 []BGPFilterRuleV6 `json:"importV6,omitempty" validate:"omitempty,dive"`
}

type BGPFilterRuleV4 struct {
	CIDR          string                 `json:"cidr,omitempty" validate:"omitempty,netv4"`
	Source        BGPFilterMatchSource   `json:"source,omitempty" validate:"omitempty,oneof=RemotePeers"`
	Interface     string                 `json:"interface,omitempty" validate:"omitempty,bgpFilterInterface"`
	MatchOperator BGPFilterMatchOperator `json:"matchOperator,omitempty" validate:"omitempty,matchOperator"`
	Action        BGPFilterAction        `json:"action" validate:"required,filterAction"`
}

type BGPFilterRuleV6 struct {
	CIDR          string                 `json:"cidr,omitempty" validate:"omitempty,netv6"`
	Source        BGPFilterMatchSource   `json:"source,omitempty" validate:"omitempty,oneof=RemotePeers"`
	Interface     string                 `json:"interface,omitempty" validate:"omitempty,bgpFilterInterface"`
	MatchOperator BGPFilterMatchOperator `json:"matchOperator,omitempty" validate:"omitempty,matchOperator"`
	Action        BGPFilterAction        `json:"action" validate:"required,filterAction"`
}

type (
	BGPFilterMatchSource   string
	BGPFilterMatchOperator string
	BGPFilterAction        string
)

const (
	BGPFilterSourceRemotePeers BGPFilterMatchSource = "RemotePeers"

	Equal    BGPFilterMatchOperator = "Equal"
	NotEqual BGPFilterMatchOperator = "NotEqual"
	In       BGPFilterMatchOperator = "In"
	NotIn    BGPFilterMatchOperator = "NotIn"

	Accept BGPFilterAction = "Accept"
	Reject BGPFilterAction = "Reject"
)
