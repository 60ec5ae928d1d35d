"""What a node was told when it last reached a server: enough to start while no server answers.

The file is ours, RKE2 has none: ``<agent>/etc/cluster-config.json``, 0600, the answer of ``GET /v1-rke2/config``
without its secret.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from rke2.config.model import NodeConfig
from rke2.errors import JoinError
from rke2.host.files import ensure_dir, write_atomic
from rke2.join.cluster_config.adopt import with_cluster_settings
from rke2.join.cluster_config.keys import Answer
from rke2.pki.catalog import AGENT_BUNDLES, AGENT_LEAVES
from rke2.pki.issue import Pair
from rke2.pki.pem import belongs_to, certificate_path, read_certificates, read_file

log = logging.getLogger(__name__)

_SECRET = "IPSECPSK"


def store(config: NodeConfig, answer: Answer) -> None:
    """Remember a server's answer.

    Raises:
        OSError: the directory cannot be written.
    """
    # Servers of RKE2 tell it to every agent. Nothing here needs
    # it, so it does not come to lie on one more disk.
    public = {key: value for key, value in answer.items() if key != _SECRET}
    path = _file(config)
    ensure_dir(path.parent)
    write_atomic(path, json.dumps(public, separators=(",", ":")), 0o600)


def load(config: NodeConfig) -> NodeConfig | None:
    """`config` with the settings remembered; None if there are none, or a certificate is missing or has expired.

    Raises:
        PKIError: a certificate on disk cannot be understood.
    """
    text = read_file(_file(config))
    # Settings alone start nothing: where no server answers, nobody signs what is missing.
    if text is None or not _has_identity(config):
        return None
    try:
        answer = json.loads(text)
        if not isinstance(answer, dict):
            raise ValueError("it is not a JSON object")
        return with_cluster_settings(config, answer)
    except (ValueError, RecursionError, JoinError) as error:
        log.warning("%s is not usable and is asked for again: %s", _file(config), error)
        return None


def _file(config: NodeConfig) -> Path:
    return config.paths.agent_etc / "cluster-config.json"


def _has_identity(config: NodeConfig) -> bool:
    agent = config.paths.agent
    bundles = all(read_certificates(certificate_path(agent / each.file)) for each in AGENT_BUNDLES)
    return bundles and all(
        _good(Pair.read(agent / leaf.file), leaf.common_name.format(node=config.node.name))
        for leaf in AGENT_LEAVES
    )


def _good(pair: Pair, common_name: str) -> bool:
    """Whether the certificate serves today; that it should be renewed soon does not matter."""
    if pair.certificates is None or pair.key is None:
        return False
    leaf = pair.certificates.first
    names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    current = leaf.not_valid_before_utc <= datetime.now(UTC) < leaf.not_valid_after_utc
    # A node that was renamed must not start under its former name: it has to ask for certificates first.
    return current and names == [common_name] and belongs_to(pair.key, leaf)
