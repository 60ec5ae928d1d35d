package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IPReservation keeps addresses of a pool from being given out.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type IPReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec IPReservationSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type IPReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []IPReservation `json:"items"`
}

const (
	KindIPReservation     = "IPReservation"
	KindIPReservationList = "IPReservationList"
)

func NewIPReservation() *IPReservation {
	return &IPReservation{TypeMeta: typeMeta(KindIPReservation)}
}

func NewIPReservationList() *IPReservationList {
	return &IPReservationList{TypeMeta: typeMeta(KindIPReservationList)}
}

type IPReservationSpec struct {
	ReservedCIDRs []string `json:"reservedCIDRs,omitempty" validate:"cidrs,omitempty"`
}
