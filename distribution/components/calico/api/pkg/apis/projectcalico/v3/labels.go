package v3

// Labels that Calico gives to every workload endpoint, and the values of the orchestrator label.
const (
	LabelNamespace      = "projectcalico.org/namespace"
	LabelServiceAccount = "projectcalico.org/serviceaccount"
	LabelOrchestrator   = "projectcalico.org/orchestrator"

	OrchestratorKubernetes = "k8s"
	OrchestratorCNI        = "cni"
	OrchestratorDocker     = "libnetwork"
	OrchestratorOpenStack  = "openstack"
)
