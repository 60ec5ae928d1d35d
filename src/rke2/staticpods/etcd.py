"""The etcd pod (layout reference §3.3). Its manifest is written first: everything else waits for etcd."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
from functools import partial
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.config.profiles import profile_of
from rke2.errors import HostError
from rke2.host.hardening import USER
from rke2.staticpods import etcd_config, writer
from rke2.staticpods.etcd_config import CLIENT_PORT, METRICS_PORT, PEER_PORT, InitialOptions
from rke2.staticpods.pod import HTTPCheck, StaticPod
from rke2.staticpods.unchanged import STARTUP_PROBE

NAME = "etcd"
INITIAL_ANNOTATION = "etcd.k3s.io/initial"
"""Holds the member's initial options, so that the next start can repeat them."""

CERTIFICATES = (
    "server-client.crt",
    "server-client.key",
    "server-ca.crt",
    "peer-server-client.crt",
    "peer-server-client.key",
    "peer-ca.crt",
)

# Serializable: a member without a majority is alive. Restarted by the kubelet it would find none either.
_CHECK = HTTPCheck(METRICS_PORT, "/health?serializable=true", "HTTP")


def pod(
    config: NodeConfig, image: str, initial: InitialOptions, *, run_as: tuple[int, int] | None = None
) -> StaticPod:
    """The pod. The configuration file must be there before its manifest is written.

    Args:
        image: full reference.
        initial: what the configuration file says of the cluster; kept in an annotation.
        run_as: user and group id, as `prepare_user` returned them.
    """
    paths, settings = config.paths, config.component(NAME)
    return StaticPod(
        name=NAME,
        image=image,
        args=(f"--config-file={paths.etcd / 'config'}",),
        settings=settings,
        ports={"client": CLIENT_PORT, "peer": PEER_PORT, "metrics": METRICS_PORT},
        startup=_CHECK,
        liveness=_CHECK,
        dirs=(paths.etcd,),
        files=tuple(paths.tls / "etcd" / name for name in CERTIFICATES),
        annotations={INITIAL_ANNOTATION: json.dumps(initial.as_dict(), separators=(",", ":"))},
        selinux_type="rke2_service_db_t" if config.node.selinux else "",
        run_as=run_as,
        # Numbers that the operator has set for the probe have to come into force with this start.
        implied=frozenset() if "startup" in settings.probes else frozenset({STARTUP_PROBE}),
        hashed_as={paths.etcd / "config": partial(etcd_config.as_among_others, config)},
    )


def previous_options(paths: Paths) -> InitialOptions | None:
    """The options of the last start, from the manifest's annotation or, where that is gone, from etcd's configuration.

    None before the first start or if they are unusable.
    """
    # The manifest may have been taken away before the kubelet started; etcd's own file stays with the data.
    for options in (_annotated(paths), _configured(paths)):
        with contextlib.suppress(KeyError, TypeError):
            return InitialOptions(
                options["initial-advertise-peer-urls"],
                options["initial-cluster"],
                options["initial-cluster-state"],
            )
    return None


def _annotated(paths: Paths) -> Any:
    annotations = (writer.read(paths, NAME) or {}).get("metadata", {}).get("annotations", {})
    try:
        return json.loads(annotations[INITIAL_ANNOTATION])
    except (KeyError, TypeError, ValueError):
        return None


def _configured(paths: Paths) -> Any:
    try:
        return goyaml.load((paths.etcd / "config").read_text())
    except (OSError, goyaml.Error):
        return None


def prepare_user(config: NodeConfig) -> tuple[int, int] | None:
    """Give etcd's files to the host user ``etcd`` if a hardening profile asks for it.

    Returns:
        The user and group id to run as; None without a profile.

    Raises:
        HostError: a profile is set and the user does not exist.
        OSError: a file cannot be given away.
    """
    if not profile_of(config.profile).etcd_user:
        return None
    try:
        user = pwd.getpwnam(USER)
    except KeyError as error:
        raise HostError(
            f"profile {config.profile} needs a host user named {USER}",
            f"run `rke2 prepare-host --profile {config.profile}`",
        ) from error
    for directory in (config.paths.etcd, config.paths.tls / "etcd"):
        _chown_tree(directory, user.pw_uid, user.pw_gid)
    return user.pw_uid, user.pw_gid


def _chown_tree(root: Path, uid: int, gid: int) -> None:
    for directory, _, files in os.walk(root):
        for path in (Path(directory), *(Path(directory) / name for name in files)):
            # etcd's user may write here: by a link it could have any file of the host given to it.
            os.chown(path, uid, gid, follow_symlinks=False)
