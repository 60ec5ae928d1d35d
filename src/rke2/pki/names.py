"""Subject alternative names: by which DNS names and addresses a node's servers are reached.

Mirrors the SAN column of the layout reference, "Serving certs", and supervisor reference §1.1, §4.5 and §7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509

from rke2.config.model import IPAddress, NetworkSettings, NodeConfig, NodeSettings
from rke2.errors import ConfigError
from rke2.pki.catalog import Names

LOOPBACK = ("localhost", "127.0.0.1", "::1")
KINE_SOCKET = "kine.sock"
"""Name under which an external datastore's TLS socket is verified with the etcd certificate."""


@dataclass(frozen=True)
class AltNames:
    """DNS names and addresses of one certificate, without duplicates, in the order given."""

    dns: tuple[str, ...] = ()
    ips: tuple[IPAddress, ...] = ()

    @classmethod
    def of(cls, *entries: str | IPAddress) -> AltNames:
        """Sort `entries` into names and addresses; a string that is an IP literal is an address.

        Raises:
            ConfigError: a name that no certificate can hold (not ASCII).
        """
        parsed = [_parse(entry) for entry in entries]
        dns = dict.fromkeys(entry for entry in parsed if isinstance(entry, str))
        ips = dict.fromkeys(entry for entry in parsed if not isinstance(entry, str))
        return cls(tuple(dns), tuple(ips))

    @classmethod
    def read(cls, certificate: x509.Certificate) -> AltNames:
        """The names `certificate` carries."""
        try:
            san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return cls()
        ips = [
            ip for ip in san.get_values_for_type(x509.IPAddress) if isinstance(ip, IPv4Address | IPv6Address)
        ]
        return cls(tuple(san.get_values_for_type(x509.DNSName)), tuple(ips))

    def extension(self) -> x509.SubjectAlternativeName | None:
        """The X.509 extension, None if there is nothing to name."""
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in self.dns]
        names += [x509.IPAddress(ip) for ip in self.ips]
        return x509.SubjectAlternativeName(names) if names else None

    def entries(self) -> tuple[str, ...]:
        """Names, then addresses, as text."""
        return (*self.dns, *map(str, self.ips))

    def covers(self, other: AltNames) -> bool:
        """Whether everything `other` names is named here too."""
        return not self.lacking(other)

    def lacking(self, other: AltNames) -> tuple[str, ...]:
        """What `other` names and this does not, in the order of `other`."""
        own = set(self.entries())
        return tuple(entry for entry in other.entries() if entry not in own)

    def __or__(self, other: AltNames) -> AltNames:
        return AltNames.of(*self.entries(), *other.entries())


def _parse(entry: str | IPAddress) -> str | IPAddress:
    if not isinstance(entry, str):
        return entry
    try:
        return ip_address(entry)
    except ValueError:
        if not entry.isascii():
            raise ConfigError(f"tls-san: {entry!r} is not a DNS name", "write it in its xn-- form") from None
        return entry


def alt_names(rule: Names, config: NodeConfig) -> AltNames:
    """What a certificate with the rule `rule` must name on the node `config` describes."""
    match rule:
        case Names.NONE:
            return AltNames()
        case Names.LOOPBACK:
            return AltNames.of(*LOOPBACK)
        case Names.SERVER:
            return server_names(config)
        case Names.ETCD:
            return AltNames.of(KINE_SOCKET) | host_names(config)
        case Names.KUBELET:
            return AltNames.of(config.node.name, "localhost", "127.0.0.1", *_node_addresses(config.node))


def server_names(config: NodeConfig) -> AltNames:
    """Everything by which a client may address the apiserver or the supervisor of this server."""
    return AltNames.of(*_kubernetes_service(config.network)) | host_names(config)


def host_names(config: NodeConfig) -> AltNames:
    """Everything this server is called but for the Kubernetes service, which is no name of etcd's."""
    network, node = config.network, config.node
    return AltNames.of(
        *(cidr.network_address + 1 for cidr in network.service_cidrs),
        *LOOPBACK,
        *_host_names(node.name),
        *([network.advertise_address] if network.advertise_address else []),
        *_node_addresses(node),
        *network.tls_sans,
    )


def _kubernetes_service(network: NetworkSettings) -> tuple[str, ...]:
    service = "kubernetes.default.svc"
    return ("kubernetes", "kubernetes.default", service, f"{service}.{network.cluster_domain}")


def _host_names(node_name: str) -> tuple[str, str]:
    return node_name, node_name.partition(".")[0]


def _node_addresses(node: NodeSettings) -> tuple[IPAddress, ...]:
    return (*node.ips, *node.external_ips)
