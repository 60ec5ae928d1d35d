package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NetworkPolicy applies to the endpoints of its namespace that its selector matches.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type NetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec NetworkPolicySpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type NetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []NetworkPolicy `json:"items"`
}

const (
	KindNetworkPolicy     = "NetworkPolicy"
	KindNetworkPolicyList = "NetworkPolicyList"
)

func NewNetworkPolicy() *NetworkPolicy {
	return &NetworkPolicy{TypeMeta: typeMeta(KindNetworkPolicy)}
}

func NewNetworkPolicyList() *NetworkPolicyList {
	return &NetworkPolicyList{TypeMeta: typeMeta(KindNetworkPolicyList)}
}

type NetworkPolicySpec struct {
	Order                  *float64                `json:"order,omitempty"`
	Ingress                []Rule                  `json:"ingress,omitempty" validate:"omitempty,dive"`
	Egress                 []Rule                  `json:"egress,omitempty" validate:"omitempty,dive"`
	Selector               string                  `json:"selector,omitempty" validate:"selector"`
	Types                  []PolicyType            `json:"types,omitempty" validate:"omitempty,dive,policyType"`
	ServiceAccountSelector string                  `json:"serviceAccountSelector,omitempty" validate:"selector"`
	PerformanceHints       []PolicyPerformanceHint `json:"performanceHints,omitempty" validate:"omitempty,unique,dive,oneof=AssumeNeededOnEveryNode"`
}

// GlobalNetworkPolicy applies to endpoints of all namespaces and to host endpoints.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type GlobalNetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec GlobalNetworkPolicySpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type GlobalNetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []GlobalNetworkPolicy `json:"items"`
}

const (
	KindGlobalNetworkPolicy     = "GlobalNetworkPolicy"
	KindGlobalNetworkPolicyList = "GlobalNetworkPolicyList"
)

func NewGlobalNetworkPolicy() *GlobalNetworkPolicy {
	return &GlobalNetworkPolicy{TypeMeta: typeMeta(KindGlobalNetworkPolicy)}
}

func NewGlobalNetworkPolicyList() *GlobalNetworkPolicyList {
	return &GlobalNetworkPolicyList{TypeMeta: typeMeta(KindGlobalNetworkPolicyList)}
}

type GlobalNetworkPolicySpec struct {
	Order                  *float64                `json:"order,omitempty"`
	Ingress                []Rule                  `json:"ingress,omitempty" validate:"omitempty,dive"`
	Egress                 []Rule                  `json:"egress,omitempty" validate:"omitempty,dive"`
	Selector               string                  `json:"selector,omitempty" validate:"selector"`
	Types                  []PolicyType            `json:"types,omitempty" validate:"omitempty,dive,policyType"`
	DoNotTrack             bool                    `json:"doNotTrack,omitempty"`
	PreDNAT                bool                    `json:"preDNAT,omitempty"`
	ApplyOnForward         bool                    `json:"applyOnForward,omitempty"`
	ServiceAccountSelector string                  `json:"serviceAccountSelector,omitempty" validate:"selector"`
	NamespaceSelector      string                  `json:"namespaceSelector,omitempty" validate:"selector"`
	PerformanceHints       []PolicyPerformanceHint `json:"performanceHints,omitempty" validate:"omitempty,unique,dive,oneof=AssumeNeededOnEveryNode"`
}

type (
	PolicyType            string
	PolicyPerformanceHint string
)

const (
	PolicyTypeIngress PolicyType = "Ingress"
	PolicyTypeEgress  PolicyType = "Egress"

	PerfHintAssumeNeededOnEveryNode PolicyPerformanceHint = "AssumeNeededOnEveryNode"
)
