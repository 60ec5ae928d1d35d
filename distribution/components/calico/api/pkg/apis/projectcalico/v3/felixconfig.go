package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/projectcalico/api/pkg/lib/numorstring"
)

type (
	AWSSrcDstCheckOption           string
	BPFConnectTimeLBType           string
	BPFHostNetworkedNATType        string
	FloatingIPType                 string
	IptablesBackend                string
	WindowsManageFirewallRulesMode string
)

const (
	AWSSrcDstCheckOptionDoNothing AWSSrcDstCheckOption = "DoNothing"
	AWSSrcDstCheckOptionEnable    AWSSrcDstCheckOption = "Enable"
	AWSSrcDstCheckOptionDisable   AWSSrcDstCheckOption = "Disable"

	BPFConnectTimeLBTCP      BPFConnectTimeLBType = "TCP"
	BPFConnectTimeLBEnabled  BPFConnectTimeLBType = "Enabled"
	BPFConnectTimeLBDisabled BPFConnectTimeLBType = "Disabled"

	BPFHostNetworkedNATEnabled  BPFHostNetworkedNATType = "Enabled"
	BPFHostNetworkedNATDisabled BPFHostNetworkedNATType = "Disabled"

	FloatingIPsEnabled  FloatingIPType = "Enabled"
	FloatingIPsDisabled FloatingIPType = "Disabled"

	WindowsManageFirewallRulesEnabled  WindowsManageFirewallRulesMode = "Enabled"
	WindowsManageFirewallRulesDisabled WindowsManageFirewallRulesMode = "Disabled"

	// Untyped: Calico compares these with strings and with the type.
	IptablesBackendAuto     = "Auto"
	IptablesBackendLegacy   = "Legacy"
	IptablesBackendNFTables = "NFT"
)

// FelixConfiguration named "default" is for all nodes, "node.<name>" for one.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type FelixConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec FelixConfigurationSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type FelixConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []FelixConfiguration `json:"items"`
}

const (
	KindFelixConfiguration     = "FelixConfiguration"
	KindFelixConfigurationList = "FelixConfigurationList"
)

func NewFelixConfiguration() *FelixConfiguration {
	return &FelixConfiguration{TypeMeta: typeMeta(KindFelixConfiguration)}
}

func NewFelixConfigurationList() *FelixConfigurationList {
	return &FelixConfigurationList{TypeMeta: typeMeta(KindFelixConfigurationList)}
}

// FelixConfigurationSpec is read field by field through reflection: each becomes the Felix parameter of
// its name, nil and "" meaning that the parameter is not set.
type FelixConfigurationSpec struct {
	AllowIPIPPacketsFromWorkloads      *bool                           `json:"allowIPIPPacketsFromWorkloads,omitempty"`
	AllowVXLANPacketsFromWorkloads     *bool                           `json:"allowVXLANPacketsFromWorkloads,omitempty"`
	AWSSrcDstCheck                     *AWSSrcDstCheckOption           `json:"awsSrcDstCheck,omitempty" validate:"omitempty,oneof=DoNothing Enable Disable"`
	BPFCTLBLogFilter                   string                          `json:"bpfCTLBLogFilter,omitempty"`
	BPFConnectTimeLoadBalancing        *BPFConnectTimeLBType           `json:"bpfConnectTimeLoadBalancing,omitempty" validate:"omitempty,bpfConnectTimeLoadBalancing"`
	BPFConnectTimeLoadBalancingEnabled *bool                           `json:"bpfConnectTimeLoadBalancingEnabled,omitempty"`
	BPFDSROptoutCIDRs                  *[]string                       `json:"bpfDSROptoutCIDRs,omitempty" validate:"omitempty,cidrs"`
	BPFDataIfacePattern                string                          `json:"bpfDataIfacePattern,omitempty" validate:"omitempty,regexp"`
	BPFDisableGROForIfaces             string                          `json:"bpfDisableGROForIfaces,omitempty" validate:"omitempty,regexp"`
	BPFDisableUnprivileged             *bool                           `json:"bpfDisableUnprivileged,omitempty"`
	BPFEnabled                         *bool                           `json:"bpfEnabled,omitempty"`
	BPFEnforceRPF                      string                          `json:"bpfEnforceRPF,omitempty"`
	BPFExcludeCIDRsFromNAT             *[]string                       `json:"bpfExcludeCIDRsFromNAT,omitempty" validate:"omitempty,cidrs"`
	BPFExtToServiceConnmark            *int                            `json:"bpfExtToServiceConnmark,omitempty" validate:"omitempty,gte=0,lte=4294967295"`
	BPFExternalServiceMode             string                          `json:"bpfExternalServiceMode,omitempty" validate:"omitempty,bpfServiceMode"`
	BPFForceTrackPacketsFromIfaces     *[]string                       `json:"bpfForceTrackPacketsFromIfaces,omitempty" validate:"omitempty,ifaceFilterSlice"`
	BPFHostConntrackBypass             *bool                           `json:"bpfHostConntrackBypass,omitempty"`
	BPFHostNetworkedNATWithoutCTLB     *BPFHostNetworkedNATType        `json:"bpfHostNetworkedNATWithoutCTLB,omitempty" validate:"omitempty,bpfHostNetworkedNATWithoutCTLB"`
	BPFKubeProxyEndpointSlicesEnabled  *bool                           `json:"bpfKubeProxyEndpointSlicesEnabled,omitempty"`
	BPFKubeProxyIptablesCleanupEnabled *bool                           `json:"bpfKubeProxyIptablesCleanupEnabled,omitempty"`
	BPFKubeProxyMinSyncPeriod          *metav1.Duration                `json:"bpfKubeProxyMinSyncPeriod,omitempty"`
	BPFL3IfacePattern                  string                          `json:"bpfL3IfacePattern,omitempty" validate:"omitempty,regexp"`
	BPFLogFilters                      *map[string]string              `json:"bpfLogFilters,omitempty" validate:"omitempty,bpfLogFilters"`
	BPFLogLevel                        string                          `json:"bpfLogLevel,omitempty" validate:"omitempty,bpfLogLevel"`
	BPFMapSizeConntrack                *int                            `json:"bpfMapSizeConntrack,omitempty"`
	BPFMapSizeIPSets                   *int                            `json:"bpfMapSizeIPSets,omitempty"`
	BPFMapSizeIfState                  *int                            `json:"bpfMapSizeIfState,omitempty"`
	BPFMapSizeNATAffinity              *int                            `json:"bpfMapSizeNATAffinity,omitempty"`
	BPFMapSizeNATBackend               *int                            `json:"bpfMapSizeNATBackend,omitempty"`
	BPFMapSizeNATFrontend              *int                            `json:"bpfMapSizeNATFrontend,omitempty"`
	BPFMapSizeRoute                    *int                            `json:"bpfMapSizeRoute,omitempty"`
	BPFPSNATPorts                      *numorstring.Port               `json:"bpfPSNATPorts,omitempty"`
	BPFPolicyDebugEnabled              *bool                           `json:"bpfPolicyDebugEnabled,omitempty"`
	ChainInsertMode                    string                          `json:"chainInsertMode,omitempty"`
	DataplaneDriver                    string                          `json:"dataplaneDriver,omitempty"`
	DataplaneWatchdogTimeout           *metav1.Duration                `json:"dataplaneWatchdogTimeout,omitempty"`
	DebugDisableLogDropping            *bool                           `json:"debugDisableLogDropping,omitempty"`
	DebugHost                          *string                         `json:"debugHost,omitempty"`
	DebugMemoryProfilePath             string                          `json:"debugMemoryProfilePath,omitempty"`
	DebugPort                          *int                            `json:"debugPort,omitempty"`
	DebugSimulateCalcGraphHangAfter    *metav1.Duration                `json:"debugSimulateCalcGraphHangAfter,omitempty"`
	DebugSimulateDataplaneApplyDelay   *metav1.Duration                `json:"debugSimulateDataplaneApplyDelay,omitempty"`
	DebugSimulateDataplaneHangAfter    *metav1.Duration                `json:"debugSimulateDataplaneHangAfter,omitempty"`
	DefaultEndpointToHostAction        string                          `json:"defaultEndpointToHostAction,omitempty" validate:"omitempty,dropAcceptReturn"`
	DeviceRouteProtocol                *int                            `json:"deviceRouteProtocol,omitempty"`
	DeviceRouteSourceAddress           string                          `json:"deviceRouteSourceAddress,omitempty"`
	DeviceRouteSourceAddressIPv6       string                          `json:"deviceRouteSourceAddressIPv6,omitempty"`
	DisableConntrackInvalidCheck       *bool                           `json:"disableConntrackInvalidCheck,omitempty"`
	EndpointReportingDelay             *metav1.Duration                `json:"endpointReportingDelay,omitempty" confignamev1:"EndpointReportingDelaySecs"`
	EndpointReportingEnabled           *bool                           `json:"endpointReportingEnabled,omitempty"`
	EndpointStatusPathPrefix           string                          `json:"endpointStatusPathPrefix,omitempty"`
	ExternalNodesCIDRList              *[]string                       `json:"externalNodesList,omitempty"`
	FailsafeInboundHostPorts           *[]ProtoPort                    `json:"failsafeInboundHostPorts,omitempty" validate:"omitempty,dive"`
	FailsafeOutboundHostPorts          *[]ProtoPort                    `json:"failsafeOutboundHostPorts,omitempty" validate:"omitempty,dive"`
	FeatureDetectOverride              string                          `json:"featureDetectOverride,omitempty" validate:"omitempty,keyValueList"`
	FeatureGates                       string                          `json:"featureGates,omitempty" validate:"omitempty,keyValueList"`
	FloatingIPs                        *FloatingIPType                 `json:"floatingIPs,omitempty" validate:"omitempty,oneof=Enabled Disabled"`
	GenericXDPEnabled                  *bool                           `json:"genericXDPEnabled,omitempty"`
	HealthEnabled                      *bool                           `json:"healthEnabled,omitempty"`
	HealthHost                         *string                         `json:"healthHost,omitempty"`
	HealthPort                         *int                            `json:"healthPort,omitempty"`
	HealthTimeoutOverrides             []HealthTimeoutOverride         `json:"healthTimeoutOverrides,omitempty" validate:"omitempty,dive"`
	InterfaceExclude                   string                          `json:"interfaceExclude,omitempty"`
	InterfacePrefix                    string                          `json:"interfacePrefix,omitempty"`
	InterfaceRefreshInterval           *metav1.Duration                `json:"interfaceRefreshInterval,omitempty"`
	IPIPEnabled                        *bool                           `json:"ipipEnabled,omitempty" confignamev1:"IpInIpEnabled"`
	IPIPMTU                            *int                            `json:"ipipMTU,omitempty" confignamev1:"IpInIpMtu"`
	IpsetsRefreshInterval              *metav1.Duration                `json:"ipsetsRefreshInterval,omitempty"`
	IptablesBackend                    *IptablesBackend                `json:"iptablesBackend,omitempty" validate:"omitempty,iptablesBackend"`
	IptablesFilterAllowAction          string                          `json:"iptablesFilterAllowAction,omitempty" validate:"omitempty,acceptReturn"`
	IptablesFilterDenyAction           string                          `json:"iptablesFilterDenyAction,omitempty" validate:"omitempty,dropReject"`
	IptablesLockFilePath               string                          `json:"iptablesLockFilePath,omitempty"`
	IptablesLockProbeInterval          *metav1.Duration                `json:"iptablesLockProbeInterval,omitempty" confignamev1:"IptablesLockProbeIntervalMillis" configv1timescale:"milliseconds"`
	IptablesLockTimeout                *metav1.Duration                `json:"iptablesLockTimeout,omitempty" confignamev1:"IptablesLockTimeoutSecs"`
	IptablesMangleAllowAction          string                          `json:"iptablesMangleAllowAction,omitempty" validate:"omitempty,acceptReturn"`
	IptablesMarkMask                   *uint32                         `json:"iptablesMarkMask,omitempty"`
	IptablesNATOutgoingInterfaceFilter string                          `json:"iptablesNATOutgoingInterfaceFilter,omitempty" validate:"omitempty,ifaceFilter"`
	IptablesPostWriteCheckInterval     *metav1.Duration                `json:"iptablesPostWriteCheckInterval,omitempty" confignamev1:"IptablesPostWriteCheckIntervalSecs"`
	IptablesRefreshInterval            *metav1.Duration                `json:"iptablesRefreshInterval,omitempty"`
	IPv6Support                        *bool                           `json:"ipv6Support,omitempty" confignamev1:"Ipv6Support"`
	KubeNodePortRanges                 *[]numorstring.Port             `json:"kubeNodePortRanges,omitempty" validate:"omitempty,dive"`
	LogDebugFilenameRegex              string                          `json:"logDebugFilenameRegex,omitempty"`
	LogFilePath                        string                          `json:"logFilePath,omitempty"`
	LogPrefix                          string                          `json:"logPrefix,omitempty"`
	LogSeverityFile                    string                          `json:"logSeverityFile,omitempty" validate:"omitempty,logLevel"`
	LogSeverityScreen                  string                          `json:"logSeverityScreen,omitempty" validate:"omitempty,logLevel"`
	LogSeveritySys                     string                          `json:"logSeveritySys,omitempty" validate:"omitempty,logLevel"`
	MaxIpsetSize                       *int                            `json:"maxIpsetSize,omitempty"`
	MetadataAddr                       string                          `json:"metadataAddr,omitempty"`
	MetadataPort                       *int                            `json:"metadataPort,omitempty"`
	MTUIfacePattern                    string                          `json:"mtuIfacePattern,omitempty" validate:"omitempty,regexp"`
	NATOutgoingAddress                 string                          `json:"natOutgoingAddress,omitempty"`
	NATPortRange                       *numorstring.Port               `json:"natPortRange,omitempty"`
	NetlinkTimeout                     *metav1.Duration                `json:"netlinkTimeout,omitempty" confignamev1:"NetlinkTimeoutSecs"`
	OpenstackRegion                    string                          `json:"openstackRegion,omitempty"`
	PolicySyncPathPrefix               string                          `json:"policySyncPathPrefix,omitempty"`
	PrometheusGoMetricsEnabled         *bool                           `json:"prometheusGoMetricsEnabled,omitempty"`
	PrometheusMetricsEnabled           *bool                           `json:"prometheusMetricsEnabled,omitempty"`
	PrometheusMetricsHost              string                          `json:"prometheusMetricsHost,omitempty" validate:"omitempty,prometheusHost"`
	PrometheusMetricsPort              *int                            `json:"prometheusMetricsPort,omitempty"`
	PrometheusProcessMetricsEnabled    *bool                           `json:"prometheusProcessMetricsEnabled,omitempty"`
	PrometheusWireGuardMetricsEnabled  *bool                           `json:"prometheusWireGuardMetricsEnabled,omitempty"`
	RemoveExternalRoutes               *bool                           `json:"removeExternalRoutes,omitempty"`
	ReportingInterval                  *metav1.Duration                `json:"reportingInterval,omitempty" confignamev1:"ReportingIntervalSecs"`
	ReportingTTL                       *metav1.Duration                `json:"reportingTTL,omitempty" confignamev1:"ReportingTTLSecs"`
	RouteRefreshInterval               *metav1.Duration                `json:"routeRefreshInterval,omitempty"`
	RouteSource                        string                          `json:"routeSource,omitempty" validate:"omitempty,routeSource"`
	RouteSyncDisabled                  *bool                           `json:"routeSyncDisabled,omitempty"`
	RouteTableRange                    *RouteTableRange                `json:"routeTableRange,omitempty"`
	RouteTableRanges                   *RouteTableRanges               `json:"routeTableRanges,omitempty" validate:"omitempty,dive"`
	ServiceLoopPrevention              string                          `json:"serviceLoopPrevention,omitempty" validate:"omitempty,oneof=Drop Reject Disabled"`
	SidecarAccelerationEnabled         *bool                           `json:"sidecarAccelerationEnabled,omitempty"`
	UsageReportingEnabled              *bool                           `json:"usageReportingEnabled,omitempty"`
	UsageReportingInitialDelay         *metav1.Duration                `json:"usageReportingInitialDelay,omitempty" confignamev1:"UsageReportingInitialDelaySecs"`
	UsageReportingInterval             *metav1.Duration                `json:"usageReportingInterval,omitempty" confignamev1:"UsageReportingIntervalSecs"`
	UseInternalDataplaneDriver         *bool                           `json:"useInternalDataplaneDriver,omitempty"`
	VXLANEnabled                       *bool                           `json:"vxlanEnabled,omitempty"`
	VXLANMTU                           *int                            `json:"vxlanMTU,omitempty"`
	VXLANMTUV6                         *int                            `json:"vxlanMTUV6,omitempty"`
	VXLANPort                          *int                            `json:"vxlanPort,omitempty"`
	VXLANVNI                           *int                            `json:"vxlanVNI,omitempty"`
	WindowsManageFirewallRules         *WindowsManageFirewallRulesMode `json:"windowsManageFirewallRules,omitempty" validate:"omitempty,oneof=Enabled Disabled"`
	WireguardEnabled                   *bool                           `json:"wireguardEnabled,omitempty"`
	WireguardEnabledV6                 *bool                           `json:"wireguardEnabledV6,omitempty"`
	WireguardHostEncryptionEnabled     *bool                           `json:"wireguardHostEncryptionEnabled,omitempty"`
	WireguardInterfaceName             string                          `json:"wireguardInterfaceName,omitempty" validate:"omitempty,interface"`
	WireguardInterfaceNameV6           string                          `json:"wireguardInterfaceNameV6,omitempty" validate:"omitempty,interface"`
	WireguardPersistentKeepAlive       *metav1.Duration                `json:"wireguardKeepAlive,omitempty"`
	WireguardListeningPort             *int                            `json:"wireguardListeningPort,omitempty" validate:"omitempty,gt=0,lte=65535"`
	WireguardListeningPortV6           *int                            `json:"wireguardListeningPortV6,omitempty" validate:"omitempty,gt=0,lte=65535"`
	WireguardMTU                       *int                            `json:"wireguardMTU,omitempty"`
	WireguardMTUV6                     *int                            `json:"wireguardMTUV6,omitempty"`
	WireguardRoutingRulePriority       *int                            `json:"wireguardRoutingRulePriority,omitempty" validate:"omitempty,gt=0,lt=32766"`
	WireguardThreadingEnabled          *bool                           `json:"wireguardThreadingEnabled,omitempty"`
	WorkloadSourceSpoofing             string                          `json:"workloadSourceSpoofing,omitempty" validate:"omitempty,oneof=Disabled Any"`
	XDPEnabled                         *bool                           `json:"xdpEnabled,omitempty"`
	XDPRefreshInterval                 *metav1.Duration                `json:"xdpRefreshInterval,omitempty"`
}

// ProtoPort is a port that stays open whatever policy says.
type ProtoPort struct {
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
	Net      string `json:"net,omitempty" validate:"omitempty,cidr"`
}

type HealthTimeoutOverride struct {
	Name    string          `json:"name"`
	Timeout metav1.Duration `json:"timeout"`
}

// RouteTableRange is the older form of RouteTableRanges, limited to tables 1 to 250.
type RouteTableRange struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

type RouteTableIDRange struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

type RouteTableRanges []RouteTableIDRange

// NumDesignatedTables is the number of routing tables in all ranges.
func (r RouteTableRanges) NumDesignatedTables() int {
	tables := 0
	for _, each := range r {
		tables += each.Max - each.Min + 1
	}
	return tables
}
