package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CalicoNodeStatus asks one node to report on itself, and holds its answer.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type CalicoNodeStatus struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   CalicoNodeStatusSpec   `json:"spec,omitempty"`
	Status CalicoNodeStatusStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type CalicoNodeStatusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CalicoNodeStatus `json:"items"`
}

const (
	KindCalicoNodeStatus     = "CalicoNodeStatus"
	KindCalicoNodeStatusList = "CalicoNodeStatusList"
)

func NewCalicoNodeStatus() *CalicoNodeStatus {
	return &CalicoNodeStatus{TypeMeta: typeMeta(KindCalicoNodeStatus)}
}

func NewCalicoNodeStatusList() *CalicoNodeStatusList {
	return &CalicoNodeStatusList{TypeMeta: typeMeta(KindCalicoNodeStatusList)}
}

type CalicoNodeStatusSpec struct {
	Node                string                `json:"node,omitempty" validate:"required,name"`
	Classes             []NodeStatusClassType `json:"classes,omitempty" validate:"required,unique,dive,oneof=Agent BGP Routes"`
	UpdatePeriodSeconds *uint32               `json:"updatePeriodSeconds,omitempty" validate:"required,gte=0,lte=86400"`
}

type CalicoNodeStatusStatus struct {
	LastUpdated metav1.Time              `json:"lastUpdated,omitempty"`
	Agent       CalicoNodeAgentStatus    `json:"agent,omitempty"`
	BGP         CalicoNodeBGPStatus      `json:"bgp,omitempty"`
	Routes      CalicoNodeBGPRouteStatus `json:"routes,omitempty"`
}

type CalicoNodeAgentStatus struct {
	BIRDV4 BGPDaemonStatus `json:"birdV4,omitempty"`
	BIRDV6 BGPDaemonStatus `json:"birdV6,omitempty"`
}

type BGPDaemonStatus struct {
	State                   BGPDaemonState `json:"state,omitempty"`
	Version                 string         `json:"version,omitempty"`
	RouterID                string         `json:"routerID,omitempty"`
	LastBootTime            string         `json:"lastBootTime,omitempty"`
	LastReconfigurationTime string         `json:"lastReconfigurationTime,omitempty"`
}

type CalicoNodeBGPStatus struct {
	NumberEstablishedV4    int              `json:"numberEstablishedV4"`
	NumberNotEstablishedV4 int              `json:"numberNotEstablishedV4"`
	NumberEstablishedV6    int              `json:"numberEstablishedV6"`
	NumberNotEstablishedV6 int              `json:"numberNotEstablishedV6"`
	PeersV4                []CalicoNodePeer `json:"peersV4,omitempty"`
	PeersV6                []CalicoNodePeer `json:"peersV6,omitempty"`
}

type CalicoNodePeer struct {
	PeerIP string          `json:"peerIP,omitempty"`
	Type   BGPPeerType     `json:"type,omitempty"`
	State  BGPSessionState `json:"state,omitempty"`
	Since  string          `json:"since,omitempty"`
}

type CalicoNodeBGPRouteStatus struct {
	RoutesV4 []CalicoNodeRoute `json:"routesV4,omitempty"`
	RoutesV6 []CalicoNodeRoute `json:"routesV6,omitempty"`
}

type CalicoNodeRoute struct {
	Type        CalicoNodeRouteType        `json:"type,omitempty"`
	Destination string                     `json:"destination,omitempty"`
	Gateway     string                     `json:"gateway,omitempty"`
	Interface   string                     `json:"interface,omitempty"`
	LearnedFrom CalicoNodeRouteLearnedFrom `json:"learnedFrom,omitempty"`
}

type CalicoNodeRouteLearnedFrom struct {
	SourceType CalicoNodeRouteSourceType `json:"sourceType,omitempty"`
	PeerIP     string                    `json:"peerIP,omitempty"`
}

type (
	NodeStatusClassType       string
	BGPDaemonState            string
	BGPPeerType               string
	BGPSessionState           string
	CalicoNodeRouteType       string
	CalicoNodeRouteSourceType string
)

const (
	NodeStatusClassTypeAgent  NodeStatusClassType = "Agent"
	NodeStatusClassTypeBGP    NodeStatusClassType = "BGP"
	NodeStatusClassTypeRoutes NodeStatusClassType = "Routes"

	BGPDaemonStateReady    BGPDaemonState = "Ready"
	BGPDaemonStateNotReady BGPDaemonState = "NotReady"

	BGPPeerTypeNodeMesh   BGPPeerType = "NodeMesh"
	BGPPeerTypeNodePeer   BGPPeerType = "NodePeer"
	BGPPeerTypeGlobalPeer BGPPeerType = "GlobalPeer"

	BGPSessionStateIdle        BGPSessionState = "Idle"
	BGPSessionStateConnect     BGPSessionState = "Connect"
	BGPSessionStateActive      BGPSessionState = "Active"
	BGPSessionStateOpenSent    BGPSessionState = "OpenSent"
	BGPSessionStateOpenConfirm BGPSessionState = "OpenConfirm"
	BGPSessionStateEstablished BGPSessionState = "Established"
	BGPSessionStateClose       BGPSessionState = "Close"

	RouteTypeFIB CalicoNodeRouteType = "FIB"
	RouteTypeRIB CalicoNodeRouteType = "RIB"

	RouteSourceTypeKernel   CalicoNodeRouteSourceType = "Kernel"
	RouteSourceTypeStatic   CalicoNodeRouteSourceType = "Static"
	RouteSourceTypeDirect   CalicoNodeRouteSourceType = "Direct"
	RouteSourceTypeNodeMesh CalicoNodeRouteSourceType = "NodeMesh"
	RouteSourceTypeBGPPeer  CalicoNodeRouteSourceType = "BGPPeer"
)
