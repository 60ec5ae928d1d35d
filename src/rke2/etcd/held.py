"""Whether a server goes on with the etcd of the release before: etcd is raised last, and when somebody says so.

Within seconds of the start of the last member as etcd 3.7 the data of all are 3.7, and etcd 3.6 does not start on them
any more. So a release that brings a later minor of etcd starts with the one that ran the data before, until that is
confirmed (ADR 0074). All that needs etcd on this server, static pod, restores and drills, has the same one: a restored
database that another one has run for a moment would be raised by it.
"""

from __future__ import annotations

from dataclasses import replace

from rke2.config.model import HeldEtcd, NodeConfig
from rke2.content.runtime.references import image
from rke2.errors import HostError
from rke2.etcd import member_files
from rke2.etcd.database import storage_version
from rke2.etcd.minor import EtcdMinor
from rke2.etcd.ran import EtcdImage, EtcdRecord, read_record

NAME = "etcd"


def configured(config: NodeConfig) -> NodeConfig:
    """The configuration of this start: with the former etcd where that is held.

    Raises:
        HostError: the release's etcd does not start on the data.
        ConfigError: no image is known (`rke2.content.runtime.references`).
    """
    if config.server is None or config.component(NAME).disabled or not member_files.initialised(config.paths):
        return config
    brought, storage = image(config, NAME), storage_version(config.paths)
    held = to_hold(read_record(config.paths), storage, EtcdMinor.of_image(brought))
    if held:
        return _with(config, held, brought)
    # A reset, and who joins a restored cluster, begin with other data.
    if not (config.server.reset or config.server.rejoin):
        _refuse_later(config, brought, storage)
    return config


def to_hold(
    record: EtcdRecord | None, storage: EtcdMinor | None, brought: EtcdMinor | None
) -> EtcdImage | None:
    """The etcd to go on with; None for the one that the release brings.

    Args:
        record: of what ran the data.
        storage: the version of the data themselves.
        brought: by the release.
    """
    ran = record.ran.minor if record else None
    # What nobody can compare is the operator's: an image of another name was set on purpose.
    if record is None or ran is None or brought is None or ran >= brought:
        return None
    if EtcdMinor.parse(record.confirmed) == brought:
        return None
    # The others have raised the data already: only the later one starts on them.
    if storage and storage > ran:
        return None
    return record.ran


def _with(config: NodeConfig, held: EtcdImage, brought: str) -> NodeConfig:
    assert config.server
    component = replace(config.component(NAME), image=held.image)
    return replace(
        config,
        components={**config.components, NAME: component},
        server=replace(config.server, held_etcd=HeldEtcd(held.version, held.digest, brought)),
    )


def _refuse_later(config: NodeConfig, brought: str, storage: EtcdMinor | None) -> None:
    minor = EtcdMinor.of_image(brought)
    if storage and minor and storage > minor:
        raise HostError(
            f"the data of etcd in {config.paths.etcd} are of etcd {storage}, and etcd {minor} of this release does not"
            " start on them; nothing was changed",
            f"start a release with etcd {storage} again; to go back, see `rke2 upgrade finish --undo` there, or restore"
            " a snapshot that was taken before, with this release",
        )
