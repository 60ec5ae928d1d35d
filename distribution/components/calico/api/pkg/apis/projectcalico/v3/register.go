package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	Group               = "projectcalico.org"
	VersionCurrent      = "v3"
	GroupVersionCurrent = Group + "/" + VersionCurrent
)

var (
	SchemeGroupVersion = schema.GroupVersion{Group: Group, Version: VersionCurrent}
	SchemeBuilder      = runtime.NewSchemeBuilder(addKnownTypes)
	AddToScheme        = SchemeBuilder.AddToScheme

	// AllKnownTypes is one object of every kind, and of its list.
	AllKnownTypes = []runtime.Object{
		&BGPConfiguration{}, &BGPConfigurationList{},
		&BGPFilter{}, &BGPFilterList{},
		&BGPPeer{}, &BGPPeerList{},
		&CalicoNodeStatus{}, &CalicoNodeStatusList{},
		&ClusterInformation{}, &ClusterInformationList{},
		&FelixConfiguration{}, &FelixConfigurationList{},
		&GlobalNetworkPolicy{}, &GlobalNetworkPolicyList{},
		&GlobalNetworkSet{}, &GlobalNetworkSetList{},
		&HostEndpoint{}, &HostEndpointList{},
		&IPPool{}, &IPPoolList{},
		&IPReservation{}, &IPReservationList{},
		&KubeControllersConfiguration{}, &KubeControllersConfigurationList{},
		&NetworkPolicy{}, &NetworkPolicyList{},
		&NetworkSet{}, &NetworkSetList{},
		&Profile{}, &ProfileList{},
	}
)

// Resource qualifies a resource name with this group.
func Resource(resource string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(resource).GroupResource()
}

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, AllKnownTypes...)
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{Kind: kind, APIVersion: GroupVersionCurrent}
}
