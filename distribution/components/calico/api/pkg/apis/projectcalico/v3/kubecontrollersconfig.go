package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// KubeControllersConfiguration is read by calico-kube-controllers, which writes its status without asking whether there is one.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type KubeControllersConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   KubeControllersConfigurationSpec   `json:"spec,omitempty"`
	Status KubeControllersConfigurationStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type KubeControllersConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []KubeControllersConfiguration `json:"items"`
}

const (
	KindKubeControllersConfiguration     = "KubeControllersConfiguration"
	KindKubeControllersConfigurationList = "KubeControllersConfigurationList"
)

func NewKubeControllersConfiguration() *KubeControllersConfiguration {
	return &KubeControllersConfiguration{TypeMeta: typeMeta(KindKubeControllersConfiguration)}
}

func NewKubeControllersConfigurationList() *KubeControllersConfigurationList {
	return &KubeControllersConfigurationList{TypeMeta: typeMeta(KindKubeControllersConfigurationList)}
}

const (
	Enabled  = "Enabled"
	Disabled = "Disabled"
)

type KubeControllersConfigurationSpec struct {
	LogSeverityScreen      string            `json:"logSeverityScreen,omitempty" validate:"omitempty,logLevel"`
	HealthChecks           string            `json:"healthChecks,omitempty" validate:"omitempty,oneof=Enabled Disabled"`
	EtcdV3CompactionPeriod *metav1.Duration  `json:"etcdV3CompactionPeriod,omitempty" validate:"omitempty"`
	PrometheusMetricsPort  *int              `json:"prometheusMetricsPort,omitempty"`
	Controllers            ControllersConfig `json:"controllers"`
	DebugProfilePort       *int32            `json:"debugProfilePort,omitempty"`
}

type KubeControllersConfigurationStatus struct {
	RunningConfig   KubeControllersConfigurationSpec `json:"runningConfig,omitempty"`
	EnvironmentVars map[string]string                `json:"environmentVars,omitempty"`
}

// ControllersConfig runs the controllers that are not nil.
type ControllersConfig struct {
	Node             *NodeControllerConfig             `json:"node,omitempty"`
	Policy           *PolicyControllerConfig           `json:"policy,omitempty"`
	WorkloadEndpoint *WorkloadEndpointControllerConfig `json:"workloadEndpoint,omitempty"`
	ServiceAccount   *ServiceAccountControllerConfig   `json:"serviceAccount,omitempty"`
	Namespace        *NamespaceControllerConfig        `json:"namespace,omitempty"`
}

type NodeControllerConfig struct {
	ReconcilerPeriod *metav1.Duration        `json:"reconcilerPeriod,omitempty" validate:"omitempty"`
	SyncLabels       string                  `json:"syncLabels,omitempty" validate:"omitempty,oneof=Enabled Disabled"`
	HostEndpoint     *AutoHostEndpointConfig `json:"hostEndpoint,omitempty"`
	LeakGracePeriod  *metav1.Duration        `json:"leakGracePeriod,omitempty"`
}

type AutoHostEndpointConfig struct {
	AutoCreate string `json:"autoCreate,omitempty" validate:"omitempty,oneof=Enabled Disabled"`
}

type PolicyControllerConfig struct {
	ReconcilerPeriod *metav1.Duration `json:"reconcilerPeriod,omitempty" validate:"omitempty"`
}

type WorkloadEndpointControllerConfig struct {
	ReconcilerPeriod *metav1.Duration `json:"reconcilerPeriod,omitempty" validate:"omitempty"`
}

type ServiceAccountControllerConfig struct {
	ReconcilerPeriod *metav1.Duration `json:"reconcilerPeriod,omitempty" validate:"omitempty"`
}

type NamespaceControllerConfig struct {
	ReconcilerPeriod *metav1.Duration `json:"reconcilerPeriod,omitempty" validate:"omitempty"`
}
