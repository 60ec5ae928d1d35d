"""What a cluster keeps from its first start: the CNI plugin and the networks of pods and services.

Another CNI plugin would take over neither pods nor rules of the first. With another network the addresses that nodes,
pods and services have belong to nobody, and kube-controller-manager ends at once, over and over. RKE2 lets all of it
be changed.

``<dd>/server/<setting>`` (ours) has the value. A server without it (made by RKE2 or an earlier release) has the plugin
whose manifest is staged, and the networks it is given now. See docs/adr/0020.
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
class Kept:
    """A setting that stays.

    Args:
        value: what a configuration says.
        in_use: what of it a cluster cannot do without.
        change: what it takes to have another one; ``{file}`` is the record.
        without_record: what a server had that has no record; empty if that cannot be known.
    """

    setting: str
    value: Callable[[NodeConfig], str]
    in_use: str
    change: str
    without_record: Callable[[Paths], str] = lambda _: ""


def _staged(paths: Paths) -> str:
    manifests = [(cni, paths.manifests / f"{chart}.yaml") for cni in CNIS for chart in cni.charts]
    return next((cni.name for cni, manifest in manifests if manifest.exists()), "")


_NEW_CLUSTER = "begin a new cluster"

CNI = Kept(
    "cni",
    lambda config: config.network.cni[-1],
    "pods, addresses and rules of {before} are in use",
    f"{_NEW_CLUSTER} (or see docs/network.md: every node has to be emptied, and {{file}} deleted on every server)",
    _staged,
)
KEPT = (
    CNI,
    Kept(
        "cluster-cidr",
        lambda config: comma(config.network.cluster_cidrs),
        "nodes and pods have addresses of {before}",
        f"{_NEW_CLUSTER} ({{file}} says what this one has)",
    ),
    Kept(
        "service-cidr",
        lambda config: comma(config.network.service_cidrs),
        "services have addresses of {before}",
        f"{_NEW_CLUSTER} ({{file}} says what this one has)",
    ),
)


def check(config: NodeConfig) -> None:
    """See that what stays is as this server was begun with; writes nothing.

    Raises:
        ConfigError: it is not.
    """
    for kept in KEPT:
        before, now = begun_with(config.paths, kept), kept.value(config)
        if before not in ("", now):
            file = config.paths.kept(kept.setting)
            raise ConfigError(
                f"{kept.setting} is {now}, but this cluster was begun with {before}: "
                f"{kept.in_use.format(before=before)}",
                f"set {kept.setting} to {before}; to have {now}, {kept.change.format(file=file)}",
            )


def begun_with(paths: Paths, kept: Kept) -> str:
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
    for kept in KEPT:
        file = config.paths.kept(kept.setting)
        if not file.exists():
            _write(file, kept.value(config))


def _write(file: Path, value: str) -> None:
    try:
        ensure_dir(file.parent, 0o700)
        write_atomic(file, f"{value}\n", 0o600)
    except OSError as error:
        raise ContentError(f"cannot write {file}: {error}") from error
