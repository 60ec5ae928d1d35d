"""The certificates of a server: every CA and leaf of the catalog, made, renewed or kept.

Everything on disk is read and judged before the first file is written, so a start that fails here has changed
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.host.files import ensure_dir, write_atomic
from rke2.pki.authority import SigningAuthority, find_authority, make_authority, write_nochain
from rke2.pki.catalog import (
    AUTHORITIES,
    CERTIFICATE_MODE,
    ETCD_MEMBER_LEAVES,
    KEY_MODE,
    SERVER_LEAVES,
    SERVICE_ACCOUNT_KEYS,
    SERVICE_ACCOUNT_SIGNING_KEY,
    Authority,
    Leaf,
)
from rke2.pki.issue import Pair, Wanted
from rke2.pki.pem import certificate_path, ensure_key, first_key_pem, new_rsa_key, read_key
from rke2.pki.renewed import replace_certificate
from rke2.pki.report import PKIReport, Recorder

_TEMPORARY_CERTS = "temporary-certs"
"""The apiserver's ``--cert-dir``; stays empty because it is given certificates."""


def ensure_server_pki(config: NodeConfig) -> PKIReport:
    """Bring ``<dd>/server/tls`` to what the catalog and `config` ask for.

    CAs that are already there, whoever made them, are used as they are. A second call with the same
    configuration writes nothing.

    Raises:
        PKIError: a file cannot be used (unreadable, expired CA, key of another CA); nothing was written.
        OSError: the directory cannot be written.
    """
    tls, recorder = config.paths.tls, Recorder()
    found, pairs = check_server_pki(config)

    _ensure_directories(config)
    authorities = _ensure_authorities(tls, found, recorder)
    for leaf, pair in pairs.items():
        _ensure_leaf(config, leaf, pair, authorities[leaf.authority], recorder)
    _ensure_service_account_keys(tls, recorder)
    return recorder.report()


def renew_server_leaves(config: NodeConfig, before: timedelta) -> PKIReport:
    """Renew what ends within `before`, or is not as it should be, of the leaves that are there, while the node runs.

    What has been deleted is left to the next start: pods have mounted the files that are gone.

    Raises:
        PKIError: a file cannot be used, or an authority is missing; nothing was written.
        OSError: a file cannot be written.
    """
    recorder = Recorder()
    found, pairs = check_server_pki(config)
    for leaf, pair in pairs.items():
        authority = found[leaf.authority]
        if authority is None:
            raise missing_authority(config.paths.tls, leaf.authority)
        if pair.is_whole:
            _ensure_leaf(config, leaf, pair, authority, recorder, before)
    return recorder.report()


def missing_authority(tls: Path, authority: Authority) -> PKIError:
    """What there is to say of an authority that a running server lacks."""
    return PKIError(
        f"{certificate_path(tls / authority.file)} is missing", "put it back; the cluster depends on it"
    )


def check_server_pki(
    config: NodeConfig,
) -> tuple[dict[Authority, SigningAuthority | None], dict[Leaf, Pair]]:
    """Read and judge what is in ``<dd>/server/tls``; writes nothing.

    Returns:
        The CAs (None: to be made) and the leaves as they are.

    Raises:
        PKIError: as `ensure_server_pki`.
    """
    tls = config.paths.tls
    found = {authority: find_authority(tls, authority) for authority in AUTHORITIES}
    pairs = {leaf: Pair.read(tls / leaf.file) for leaf in server_leaves(config)}
    read_key(tls / SERVICE_ACCOUNT_KEYS)
    return found, pairs


def server_leaves(config: NodeConfig) -> Iterable[Leaf]:
    """The leaves this server needs."""
    without_etcd = config.component("etcd").disabled
    return (leaf for leaf in SERVER_LEAVES if not (without_etcd and leaf.file in ETCD_MEMBER_LEAVES))


def _ensure_directories(config: NodeConfig) -> None:
    ensure_dir(config.paths.server, 0o700)
    ensure_dir(config.paths.tls, 0o700)
    ensure_dir(config.paths.tls / _TEMPORARY_CERTS, 0o700)


def _ensure_authorities(
    tls: Path, found: Mapping[Authority, SigningAuthority | None], recorder: Recorder
) -> dict[Authority, SigningAuthority]:
    ready = {}
    for authority, existing in found.items():
        ready[authority] = existing or make_authority(tls, authority)
        path = ready[authority].bundle.path
        recorder.kept(path) if existing else recorder.created(path)
        if authority.nochain:
            write_nochain(tls, ready[authority].bundle)
    return ready


def _ensure_leaf(
    config: NodeConfig,
    leaf: Leaf,
    pair: Pair,
    authority: SigningAuthority,
    recorder: Recorder,
    before: timedelta | None = None,
) -> None:
    wanted, path = Wanted.on_node(leaf, config), pair.certificate_path
    reason = pair.stale(wanted, authority.bundle, before)
    if not reason:
        pair.restore_modes(CERTIFICATE_MODE)
        recorder.kept(path)
        return
    public_key = ensure_key(pair.key_path).public_key()
    pem = authority.sign(public_key, wanted.subject, wanted.usage, wanted.names)
    replace_certificate(config.paths, path, pem, CERTIFICATE_MODE)
    recorder.issued(path, reason)


def _ensure_service_account_keys(tls: Path, recorder: Recorder) -> None:
    path = tls / SERVICE_ACCOUNT_KEYS
    existed = path.exists()
    ensure_key(path, new_rsa_key)
    write_atomic(tls / SERVICE_ACCOUNT_SIGNING_KEY, first_key_pem(path, path.read_bytes()), KEY_MODE)
    recorder.kept(path) if existed else recorder.created(path)
