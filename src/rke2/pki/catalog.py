"""Every certificate of a node in one place: who signs it, whom it names, what it is for, where it lies.

Mirrors the layout reference, "Certificates". `AUTHORITIES`, `SERVER_LEAVES` and `AGENT_LEAVES` are all there
is, except the serving certificate of port 9345, which grows at run time (`rke2.supervisor.serving`). Files are
named without ``.crt``/``.key``, relative to ``<dd>/server/tls`` or, for the agent's own, to ``<dd>/agent``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

AUTHORITY_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=120)
"""A leaf with less than this left is one that RKE2 warns of, and renews at the next start."""

CERTIFICATE_MODE = 0o644
KEY_MODE = 0o600
AGENT_MODE = 0o600
"""The agent keeps its certificates as private as its keys."""

SERVICE_ACCOUNT_KEYS = "service.key"
"""RSA keys that verify service account tokens; the first one signs."""
SERVICE_ACCOUNT_SIGNING_KEY = "service.current.key"
"""Copy of the first key of `SERVICE_ACCOUNT_KEYS`."""


class Usage(enum.Flag):
    """What a leaf may be used for (extended key usage)."""

    CLIENT = enum.auto()
    SERVER = enum.auto()
    BOTH = CLIENT | SERVER


class Names(enum.Enum):
    """Which subject alternative names a leaf carries; `rke2.pki.names` computes them.

    A leaf may carry more than these, as one that RKE2 issued: only a kubelet's may not (`exact`).
    """

    NONE = enum.auto()
    LOOPBACK = enum.auto()
    SERVER = enum.auto()
    ETCD = enum.auto()
    KUBELET = enum.auto()

    @property
    def exact(self) -> bool:
        """Whether a name too many is a reason to issue the leaf again: an address of one node may become another's."""
        return self is Names.KUBELET


@dataclass(frozen=True)
class Authority:
    """A CA: `prefix` makes its common name ``<prefix>-ca@<unix time>``.

    `nochain` CAs also have a ``.nochain.crt`` holding only the issuing certificate: kube-controller-manager
    signs with it and refuses bundles.
    """

    file: str
    prefix: str
    nochain: bool = False


CLIENT_CA = Authority("client-ca", "rke2-client", nochain=True)
SERVER_CA = Authority("server-ca", "rke2-server", nochain=True)
REQUEST_HEADER_CA = Authority("request-header-ca", "rke2-request-header")
ETCD_SERVER_CA = Authority("etcd/server-ca", "etcd-server")
ETCD_PEER_CA = Authority("etcd/peer-ca", "etcd-peer")

AUTHORITIES = (CLIENT_CA, SERVER_CA, REQUEST_HEADER_CA, ETCD_SERVER_CA, ETCD_PEER_CA)
AGENT_BUNDLES = (CLIENT_CA, SERVER_CA)
"""CAs whose certificates (not keys) every agent holds."""


@dataclass(frozen=True)
class Leaf:
    """An end certificate. ``{node}`` in `common_name` stands for the node name.

    `service` is the name under which ``rke2 certificate rotate`` and ``check`` know it.
    """

    file: str
    authority: Authority
    common_name: str
    organization: str
    usage: Usage
    names: Names
    service: str


def _client(
    file: str, common_name: str, organization: str, service: str, authority: Authority = CLIENT_CA
) -> Leaf:
    return Leaf(file, authority, common_name, organization, Usage.CLIENT, Names.NONE, service)


def _serving(file: str, common_name: str, names: Names, service: str) -> Leaf:
    return Leaf(file, SERVER_CA, common_name, "", Usage.SERVER, names, service)


def _etcd(file: str, common_name: str, authority: Authority, usage: Usage, names: Names) -> Leaf:
    return Leaf(f"etcd/{file}", authority, common_name, "", usage, names, "etcd")


_KCM = "kube-controller-manager"
_SCHEDULER = "kube-scheduler"
_KUBE_PROXY = _client("client-kube-proxy", "system:kube-proxy", "", "kube-proxy")
_RKE2_CONTROLLER = _client("client-rke2-controller", "system:rke2-controller", "", "rke2-controller")

SERVER_LEAVES = (
    _client("client-admin", "system:admin", "system:masters", "admin"),
    _client("client-supervisor", "system:rke2-supervisor", "system:masters", "supervisor"),
    _client("client-controller", "system:kube-controller-manager", "", "controller-manager"),
    _client("client-scheduler", "system:kube-scheduler", "", "scheduler"),
    _client("client-kube-apiserver", "system:apiserver", "system:masters", "api-server"),
    _client("client-rke2-cloud-controller", "rke2-cloud-controller-manager", "", "cloud-controller"),
    _client("client-auth-proxy", "system:auth-proxy", "", "auth-proxy", REQUEST_HEADER_CA),
    _KUBE_PROXY,
    _RKE2_CONTROLLER,
    _serving("serving-kube-apiserver", "kube-apiserver", Names.SERVER, "api-server"),
    _serving(f"{_KCM}/{_KCM}", _KCM, Names.LOOPBACK, "controller-manager"),
    _serving(f"{_SCHEDULER}/{_SCHEDULER}", _SCHEDULER, Names.LOOPBACK, "scheduler"),
    _etcd("client", "etcd-client", ETCD_SERVER_CA, Usage.CLIENT, Names.NONE),
    _etcd("server-client", "etcd-server", ETCD_SERVER_CA, Usage.BOTH, Names.ETCD),
    _etcd("peer-server-client", "etcd-peer", ETCD_PEER_CA, Usage.BOTH, Names.ETCD),
)

AGENT_LEAVES = (  # in the order in which agents ask for them
    _serving("serving-kubelet", "{node}", Names.KUBELET, "kubelet"),
    _client("client-kubelet", "system:node:{node}", "system:nodes", "kubelet"),
    _KUBE_PROXY,
    _RKE2_CONTROLLER,
)

ETCD_MEMBER_LEAVES = frozenset({"etcd/server-client", "etcd/peer-server-client"})
"""Not made on a server that runs no etcd."""
