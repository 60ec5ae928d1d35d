package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterInformation named "default" describes the cluster. DatastoreReady false stops Felix.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClusterInformation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ClusterInformationSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ClusterInformationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ClusterInformation `json:"items"`
}

const (
	KindClusterInformation     = "ClusterInformation"
	KindClusterInformationList = "ClusterInformationList"
)

func NewClusterInformation() *ClusterInformation {
	return &ClusterInformation{TypeMeta: typeMeta(KindClusterInformation)}
}

func NewClusterInformationList() *ClusterInformationList {
	return &ClusterInformationList{TypeMeta: typeMeta(KindClusterInformationList)}
}

type ClusterInformationSpec struct {
	ClusterGUID    string `json:"clusterGUID,omitempty" validate:"omitempty"`
	ClusterType    string `json:"clusterType,omitempty" validate:"omitempty"`
	CalicoVersion  string `json:"calicoVersion,omitempty" validate:"omitempty"`
	DatastoreReady *bool  `json:"datastoreReady,omitempty"`
	Variant        string `json:"variant,omitempty"`
}
