"""What a cluster keeps from its first start: its CNI plugin, its networks, the address and the domain of its DNS.

Another CNI plugin would take over neither pods nor rules of the first. With another network the addresses that nodes,
pods and services have belong to nobody, and kube-controller-manager ends at once, over and over. The packaged DNS
cannot move, and running pods ask where it was; with another domain the API server takes no pod's token for an hour.
RKE2 lets all of it be changed.

``<dd>/server/<setting>`` (ours) has the value. A server without it (made by RKE2 or an earlier release) has the plugin
whose manifest is staged, and otherwise what it is given now. See docs/adr/0020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rke2.config.addresses import comma
from rke2.config.cni import CNIS
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.errors import ConfigError, ContentError
from rke2.host.files import ensure_dir, write_atomic


@dataclass(frozen=True)
class ImmutableSetting:
    """A setting that stays.

    Args:
        value: what a configuration says; empty where it does not matter.
        in_use: what of it a cluster cannot do without.
        change: what it takes to have another one; ``{file}`` is the record.
        without_record: what a server had that has no record; empty if that cannot be known.
    """

    setting: str
    value: Callable[[NodeConfig], str]
    in_use: str
    change: str = "begin a new cluster ({file} says what this one has)"
    without_record: Callable[[Paths], str] = lambda _: ""


def _staged(paths: Paths) -> str:
    manifests = [(cni, paths.manifests / f"{chart}.yaml") for cni in CNIS for chart in cni.charts]
    return next((cni.name for cni, manifest in manifests if manifest.exists()), "")


def _dns(config: NodeConfig) -> str:
    """A DNS of one's own may be anywhere."""
    packaged = config.server is not None and "rke2-coredns" not in config.server.disable
    return comma(config.network.cluster_dns) if packaged else ""


CNI = ImmutableSetting(
    "cni",
    lambda config: config.network.cni[-1],
    "pods, addresses and rules of {before} are in use",
    "begin a new cluster (or see docs/network.md: every node has to be emptied, and {file} deleted on every server)",
    _staged,
)
IMMUTABLE = (
    CNI,
    ImmutableSetting(
        "cluster-cidr",
        lambda config: comma(config.network.cluster_cidrs),
        "nodes and pods have addresses of {before}",
    ),
    ImmutableSetting(
        "service-cidr",
        lambda config: comma(config.network.service_cidrs),
        "services have addresses of {before}",
    ),
    ImmutableSetting(
        "cluster-dns",
        _dns,
        "the DNS service has this address, and running pods ask there",
    ),
    ImmutableSetting(
        "cluster-domain",
        lambda config: config.network.cluster_domain,
        "names that pods use end in {before}, and their tokens are issued for it",
    ),
)


def check(config: NodeConfig) -> None:
    """See that what stays is as this server was created with; writes nothing.

    Raises:
        ConfigError: it is not.
    """
    for kept in IMMUTABLE:
        before, now = created_with(config.paths, kept), kept.value(config)
        if before and now and before != now:
            file = config.paths.kept(kept.setting)
            raise ConfigError(
                f"{kept.setting} is {now}, but this cluster was created with {before}: "
                f"{kept.in_use.format(before=before)}",
                f"set {kept.setting} to {before}; to have {now}, {kept.change.format(file=file)}",
            )


def created_with(paths: Paths, kept: ImmutableSetting) -> str:
    """The value of the first start; empty if there was none, or it is not known.

    Raises:
        ConfigError: the record is there and cannot be read.
    """
    file = paths.kept(kept.setting)
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return kept.without_record(paths)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {error}", f"write the {kept.setting} of the cluster into it"
        ) from error


def record(config: NodeConfig) -> None:
    """Remember the values, once.

    Raises:
        ContentError: a file cannot be written.
    """
    for kept in IMMUTABLE:
        file, value = config.paths.kept(kept.setting), kept.value(config)
        if value and not file.exists():
            _write(file, value)


def _write(file: Path, value: str) -> None:
    try:
        ensure_dir(file.parent, 0o700)
        write_atomic(file, f"{value}\n", 0o600)
    except OSError as error:
        raise ContentError(f"cannot write {file}: {error}") from error
