package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Profile is made by Calico from a namespace or a service account; it has no CRD.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Profile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ProfileSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type ProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []Profile `json:"items"`
}

const (
	KindProfile     = "Profile"
	KindProfileList = "ProfileList"
)

func NewProfile() *Profile {
	return &Profile{TypeMeta: typeMeta(KindProfile)}
}

func NewProfileList() *ProfileList {
	return &ProfileList{TypeMeta: typeMeta(KindProfileList)}
}

type ProfileSpec struct {
	Ingress       []Rule            `json:"ingress,omitempty" validate:"omitempty,dive"`
	Egress        []Rule            `json:"egress,omitempty" validate:"omitempty,dive"`
	LabelsToApply map[string]string `json:"labelsToApply,omitempty" validate:"omitempty,labels"`
}
