"""etcd's configuration file, ``<data dir>/server/db/etcd/config`` (layout reference §3.3).

etcd reads it with a typed decoder that refuses a number for a string and the reverse, and that ignores
unknown keys without a word. So the operator's ``etcd-arg`` values are converted by the key's type, and a key
etcd does not have is reported here.

Since etcd 3.6 the ``experimental-…`` keys have other names or are feature gates, and 3.7 removes them; the file
has the new ones (same meaning), and an ``etcd-arg`` under an old name is taken for the new one.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.config.addresses import on_loopback, on_node
from rke2.config.model import NodeConfig
from rke2.config.values import parse_bool, parse_duration, parse_int
from rke2.errors import ConfigError
from rke2.host.files import ensure_dir, write_atomic
from rke2.staticpods.arguments import Item, parse_item

log = logging.getLogger(__name__)

CLIENT_PORT = 2379
PEER_PORT = 2380
METRICS_PORT = 2381
CLIENT_HTTP_PORT = 2382

DEFRAG_THRESHOLD = 100
"""Megabytes that defragmenting must free for etcd to do it before it serves, as RKE2 has it."""

PROGRESS_NOTIFY_INTERVAL = 5_000_000_000
"""Nanoseconds, as all of etcd's durations in the file."""


@dataclass(frozen=True)
class EtcdTiming:
    """How long members wait for each other, in milliseconds."""

    heartbeat: int
    election: int


CLUSTER = EtcdTiming(heartbeat=500, election=5000)
"""RKE2's values: they bear slow disks and distant members."""

ALONE = EtcdTiming(heartbeat=100, election=1000)
"""etcd's defaults. A member without others becomes leader within one election timeout of its start, and until then
nothing is served: with `CLUSTER` a single server waits up to 5 s at each start of etcd, and gains nothing by it."""


@dataclass(frozen=True)
class InitialOptions:
    """How the member joins its cluster. Fixed at the first start; later starts take it from the old manifest.

    Args:
        advertise_peer_url: where the other members reach this one.
        cluster: all members at that time, ``name=https://address:2380,…``.
        state: ``new`` or ``existing``.
    """

    advertise_peer_url: str
    cluster: str
    state: str = "new"

    def as_dict(self) -> dict[str, str]:
        return {
            "initial-advertise-peer-urls": self.advertise_peer_url,
            "initial-cluster": self.cluster,
            "initial-cluster-state": self.state,
        }


def single_member(config: NodeConfig, name: str) -> InitialOptions:
    """The options of the first member of a new cluster; `name` is its member name."""
    url = f"https://{on_node(config, PEER_PORT)}"
    return InitialOptions(url, f"{name}={url}")


def document(
    config: NodeConfig,
    name: str,
    initial: InitialOptions,
    *,
    timing: EtcdTiming = CLUSTER,
    force_new_cluster: bool = False,
) -> dict[str, Any]:
    """The whole configuration, ``etcd-arg`` items applied, in RKE2's order: its file and this one are the same text.

    Args:
        name: the member's name.
        timing: all members of a cluster should have the same.
        force_new_cluster: forget all other members (cluster reset only).

    Raises:
        ConfigError: an ``etcd-arg`` value has not the type its key needs.
    """
    base: dict[str, Any] = {
        "name": name,
        "data-dir": str(config.paths.etcd),
        **initial.as_dict(),
        **_urls(config),
        "heartbeat-interval": timing.heartbeat,
        "election-timeout": timing.election,
        "snapshot-count": 10000,
        "bootstrap-defrag-threshold-megabytes": DEFRAG_THRESHOLD,
        "logger": "zap",
        "log-outputs": ["stderr"],
        "feature-gates": "InitialCorruptCheck=true",
        "watch-progress-notify-interval": PROGRESS_NOTIFY_INTERVAL,
        # The next etcd can bind its ports while connections of the one before are still closing.
        "socket-options": {"reuse-address": True, "reuse-port": True},
        **_transport_security(config),
    }
    if force_new_cluster:
        base["force-new-cluster"] = True
    return dict(sorted(apply_args(base, config.component("etcd").args).items()))


def _urls(config: NodeConfig) -> dict[str, str]:
    local, node = partial(on_loopback, config), partial(on_node, config)
    metrics = (local, node) if config.server and config.server.etcd_expose_metrics else (local,)
    return {
        "advertise-client-urls": f"https://{node(CLIENT_PORT)}",
        "listen-client-urls": f"https://{local(CLIENT_PORT)},https://{node(CLIENT_PORT)}",
        # With HTTP on the port of gRPC, etcd lets watches starve under load;
        # so it has one of its own, as in k3s.
        "listen-client-http-urls": f"https://{local(CLIENT_HTTP_PORT)}",
        "listen-metrics-urls": ",".join(f"http://{host(METRICS_PORT)}" for host in metrics),
        "listen-peer-urls": f"https://{local(PEER_PORT)},https://{node(PEER_PORT)}",
    }


def _transport_security(config: NodeConfig) -> dict[str, Any]:
    tls = config.paths.tls / "etcd"
    return {
        f"{role}-transport-security": {
            "cert-file": str(tls / f"{certificate}.crt"),
            "client-cert-auth": True,
            "key-file": str(tls / f"{certificate}.key"),
            "trusted-ca-file": str(tls / f"{ca}.crt"),
        }
        for role, certificate, ca in (
            ("client", "server-client", "server-ca"),
            ("peer", "peer-server-client", "peer-ca"),
        )
    }


def write(config: NodeConfig, content: dict[str, Any]) -> bool:
    """Write the file; True if it changed.

    One that says the same in another way, as RKE2's may, is left: etcd restarts for a file with other bytes.

    Raises:
        OSError: the database directory is not writable.
    """
    ensure_dir(config.paths.etcd, 0o700)
    path = config.paths.etcd / "config"
    if _renamed_keys(read(path)) == content:
        # The file of an earlier start, or of RKE2, may have another mode.
        path.chmod(0o600)
        return False
    return write_atomic(path, goyaml.dump(content))


def read(path: Path) -> dict[str, Any]:
    """The configuration in the file; empty if there is none that can be read."""
    try:
        document = goyaml.load(path.read_text())
    except (FileNotFoundError, UnicodeDecodeError, goyaml.Error):
        # The file is generated: one that cannot be read counts as missing, and is written again.
        return {}
    return document if isinstance(document, dict) else {}


def _renamed_keys(document: dict[str, Any]) -> dict[str, Any]:
    """`document` with etcd's present names for the ``experimental-…`` keys in it."""
    result: dict[str, Any] = {}
    for key, value in document.items():
        if gate := FEATURE_GATES.get(key):
            gates = [result.get("feature-gates", ""), f"{gate}={str(value).lower()}"]
            result["feature-gates"] = ",".join(filter(None, gates))
        else:
            result[key.removeprefix("experimental-")] = value
    return result


# --- timing --------------------------------------------------------------------------------------
TIMING_KEYS = ("heartbeat-interval", "election-timeout")


def with_timing(config: NodeConfig, text: str, timing: EtcdTiming) -> str:
    """`text` of the file with another timing and else the same bytes; what an ``etcd-arg`` sets is left."""
    own = {parse_item(arg).key for arg in config.component("etcd").args}
    for key, value in zip(TIMING_KEYS, (timing.heartbeat, timing.election), strict=True):
        if key not in own:
            # In the text, not by dumping it again: RKE2's file may spell the rest
            # otherwise, and FILE_HASH counts bytes.
            text = re.sub(rf"(?m)^{key}:.*$", f"{key}: {value}", text)
    return text


def as_among_others(config: NodeConfig, content: bytes) -> bytes:
    """`content` of the file as it is where the member is one of several.

    That is what the pod's ``FILE_HASH`` is made of. The timing changes with the number of members, and holds from
    etcd's next start on: it is not to cause one. And it makes the hash the one that RKE2 computes.
    """
    return with_timing(config, content.decode(errors="surrogateescape"), CLUSTER).encode(
        errors="surrogateescape"
    )


# --- etcd-arg ------------------------------------------------------------------------------------

FEATURE_GATES = {
    "experimental-stop-grpc-service-on-defrag": "StopGRPCServiceOnDefrag",
    "experimental-initial-corrupt-check": "InitialCorruptCheck",
    "experimental-compact-hash-check-enabled": "CompactHashCheck",
    "experimental-txn-mode-write-with-shared-buffer": "TxnModeWriteWithSharedBuffer",
    "experimental-enable-lease-checkpoint": "LeaseCheckpoint",
    "experimental-enable-lease-checkpoint-persist": "LeaseCheckpointPersist",
}
"""Keys that became feature gates in etcd 3.6. Other ``experimental-`` keys only lost the prefix."""

_KEYS = {
    "bool": """client-cert-auth enable-distributed-tracing enable-grpc-gateway enable-log-rotation enable-pprof
        force-new-cluster initial-election-tick-advance memory-mlock pre-vote strict-reconfig-check unsafe-no-fsync""",
    "int": """auth-token-ttl backend-batch-limit bcrypt-cost bootstrap-defrag-threshold-megabytes
        compaction-batch-limit distributed-tracing-sampling-rate election-timeout heartbeat-interval
        max-concurrent-streams max-learners max-request-bytes max-snapshots max-txn-ops max-wals
        quota-backend-bytes self-signed-cert-validity snapshot-catchup-entries snapshot-count""",
    "duration": """backend-batch-interval compact-hash-check-time compaction-sleep-interval corrupt-check-time
        downgrade-check-time grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout
        warning-apply-duration warning-unary-request-duration watch-progress-notify-interval""",
    "list": "cipher-suites log-outputs",
    "string": """advertise-client-urls auth-token auto-compaction-mode auto-compaction-retention
        backend-bbolt-freelist-type cors data-dir discovery discovery-proxy discovery-srv discovery-srv-name
        distributed-tracing-address distributed-tracing-instance-id distributed-tracing-service-name feature-gates
        host-whitelist initial-advertise-peer-urls initial-cluster initial-cluster-state initial-cluster-token
        listen-client-http-urls listen-client-urls listen-metrics-urls listen-peer-urls log-format log-level
        log-rotation-config-json logger metrics name tls-max-version tls-min-version v2-deprecation wal-dir""",
}
KEY_TYPES = {key: kind for kind, keys in _KEYS.items() for key in keys.split()}
"""Top-level keys of etcd 3.6's file and their types."""


def _to_nanoseconds(text: str) -> int:
    return round(parse_duration(text) * 1e9)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "bool": parse_bool,
    "int": parse_int,
    "duration": _to_nanoseconds,
    "list": lambda text: text.split(","),
    "string": str,
}


def apply_args(base: dict[str, Any], args: Iterable[str]) -> dict[str, Any]:
    """`base` with ``etcd-arg`` items: ``=`` sets a key, ``+=`` and ``-=`` extend a list or comma-separated text.

    Raises:
        ConfigError: a value has not the type its key needs.
    """
    result = dict(base)
    for item in map(_renamed, map(parse_item, args)):
        value = _coerce(item)
        result[item.key] = value if item.operator == "=" else _extended(result.get(item.key), item, value)
    return result


def _renamed(item: Item) -> Item:
    if gate := FEATURE_GATES.get(item.key):
        return Item("feature-gates", "+=", f"{gate}={item.value}")
    short = item.key.removeprefix("experimental-")
    return Item(short, item.operator, item.value) if short in KEY_TYPES else item


def _coerce(item: Item) -> Any:
    kind = KEY_TYPES.get(item.key)
    # Reported, not refused: the table is that of one release of etcd, and the image may be another's.
    if kind is None:
        log.warning(
            "etcd-arg: etcd has no configuration key %s and ignores it%s", item.key, _suggestion(item.key)
        )
    try:
        return _PARSERS[kind or "string"](item.value)
    except ValueError as error:
        raise ConfigError(f"etcd-arg {item.key}={item.value}: {error}") from error


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key, KEY_TYPES, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _extended(present: Any, item: Item, value: Any) -> Any:
    if not present:
        return value
    first, second = (present, value) if item.operator == "+=" else (value, present)
    if isinstance(present, list):
        return [*first, *second]
    return f"{first},{second}" if isinstance(present, str) else value
