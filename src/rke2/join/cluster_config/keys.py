"""The keys of the answer, and who reads them.

Mirrors the supervisor reference §5.3: keys are Go field names, absent lists and networks are null. Readers ignore
keys they do not know; a missing key has its type's zero value. Told is only what somebody reads (`READERS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Answer = Mapping[str, Any]
"""The decoded JSON object of a server."""

CRITICAL: Mapping[str, str] = {
    "ClusterDNSs": "cluster-dns",
    "ClusterIPRanges": "cluster-cidr",
    "ClusterDNS": "cluster-dns",
    "ClusterDomain": "cluster-domain",
    "ClusterIPRange": "cluster-cidr",
    "DisableCCM": "disable-cloud-controller",
    "DisableHelmController": "disable-helm-controller",
    "DisableNPC": "disable-network-policy",
    "DisableServiceLB": "enable-servicelb",
    "EncryptSecrets": "secrets-encryption",
    "EncryptProvider": "secrets-encryption-provider",
    "EmbeddedRegistry": "embedded-registry",
    "FlannelBackend": "flannel-backend",
    "FlannelIPv6Masq": "flannel-ipv6-masq",
    "FlannelIPMasqDisableRandomFully": "flannel-ip-masq-disable-random-fully",
    "FlannelExternalIP": "flannel-external-ip",
    "EgressSelectorMode": "egress-selector-mode",
    "ServiceIPRange": "service-cidr",
    "ServiceIPRanges": "service-cidr",
    "SupervisorMetrics": "supervisor-metrics",
}
"""Key that must be equal on all servers -> the flag it comes from (some only k3s has)."""


READERS: Mapping[str, str] = {
    **dict.fromkeys(CRITICAL, "servers that join: it must be as theirs"),
    "Disables": "servers of ours that join: they deploy the same CNI plugin",
    "Skips": "who reads it in RKE2, where it has the charts of `Disables`, too",
    "DisableKubeProxy": "agents: whether they run kube-proxy",
    "SystemDefaultRegistry": "agents: where their images come from",
    "ServiceNodePortRange": "agents: kube-proxy's; one of RKE2 does not start without",
    "SupervisorPort": "agents of RKE2: one load balancer or two",
    "HTTPSPort": "agents of RKE2: one load balancer or two",
    "MinTLSVersion": "agents: of the kubelet",
    "CipherSuites": "agents of RKE2: of the kubelet",
}
"""Key of the answer -> who reads it. Everybody who may join is told all of it, so nothing else is in it."""

_ARGUMENTS = "arguments of the control plane: no node reads those of another, and some name files and secrets"
_ROLE = "what runs on this server: the labels of its Node tell"
_SERVER = "addresses, names and files of this server: no node reads them"
_THIS_START = "how this server was started: over when it answers"
_ELSEWHERE = "what k3s has and RKE2 does not, or switches off"

LEFT_OUT: Mapping[str, str] = {
    "IPSECPSK": "a secret of the embedded registry, and of flannel's own encryption, which RKE2 switches off",
    **dict.fromkeys(
        ("ExtraAPIArgs", "ExtraControllerArgs", "ExtraCloudControllerArgs", "ExtraEtcdArgs"), _ARGUMENTS
    ),
    **dict.fromkeys(("ExtraSchedulerArgs", "ExtraHelmArgs", "HelmJobImage", "VLevel", "VModule"), _ARGUMENTS),
    **dict.fromkeys(
        ("DisableAPIServer", "DisableControllerManager", "DisableETCD", "DisableScheduler", "DisableAgent"),
        _ROLE,
    ),
    **dict.fromkeys(
        ("AdvertiseIP", "AdvertisePort", "APIServerBindAddress", "APIServerPort", "BindAddress"), _SERVER
    ),
    **dict.fromkeys(("DataDir", "JoinURL", "PrivateIP", "SANs", "SANSecurity", "ServerNodeName"), _SERVER),
    **dict.fromkeys(("KubeConfigGroup", "KubeConfigMode", "KubeConfigName", "KubeConfigOutput"), _SERVER),
    **dict.fromkeys(("ClusterInit", "ClusterReset", "ClusterResetRestorePath", "NoLeaderElect"), _THIS_START),
    **dict.fromkeys(("DefaultLocalStoragePath", "KineTLS", "Rootless", "ServiceLBNamespace"), _ELSEWHERE),
}
"""Key that RKE2 tells besides -> why it is not told here. A missing key has its zero value for whoever reads it."""
