"""Which etcd has last run this server's data: ``server/db/etcd-image.json``, beside the data it is about.

Written when the member is healthy, at each start. It survives what the static pod's manifest does not: that is taken
away before the pod changes, after a reboot and by a reset.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from rke2.config.paths import Paths
from rke2.etcd.minor import EtcdMinor, version_of_image
from rke2.host.files import write_atomic
from rke2.staticpods import writer


class EtcdImage(msgspec.Struct, frozen=True, omit_defaults=True):
    """An etcd that has run on this server.

    Args:
        image: as the static pod names it.
        version: as the member says, such as ``3.6.14``.
        digest: of the image in containerd; empty if it was not seen there.
    """

    image: str
    version: str
    digest: str = ""

    @property
    def minor(self) -> EtcdMinor | None:
        return EtcdMinor.parse(self.version)


class EtcdRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file.

    Args:
        ran: what has last run the data.
        confirmed: the minor version to which they may be raised, such as ``3.7``; empty for none.
        former: what had run them before, where that is of a lower minor.
    """

    ran: EtcdImage
    confirmed: str = ""
    former: EtcdImage | None = None


def record_file(paths: Paths) -> Path:
    return paths.etcd.with_name("etcd-image.json")


def read_record(paths: Paths) -> EtcdRecord | None:
    """The record; of a release that wrote none, what the last start's manifest says. None if nobody can tell."""
    try:
        return msgspec.json.decode(record_file(paths).read_bytes(), type=EtcdRecord)
    except (OSError, msgspec.DecodeError):
        return _of_manifest(paths)


def write_record(paths: Paths, record: EtcdRecord) -> None:
    """Keep the record. Durable: after a power cut it decides which program is started on the data.

    Raises:
        OSError: it cannot be written.
    """
    write_atomic(record_file(paths), msgspec.json.encode(record), durable=True)


def with_run(before: EtcdRecord | None, now: EtcdImage, *, held: bool) -> EtcdRecord:
    """The record after `now` has run the data.

    Args:
        held: the release brings a later one. What was confirmed waits for the next start then; a release that is at
            home with `now` ends it, so that a way back and forth is confirmed again.
    """
    if before is None:
        return EtcdRecord(now)
    if before.ran.minor and now.minor and before.ran.minor < now.minor:
        return EtcdRecord(now, former=before.ran)
    lower = before.former and before.former.minor and now.minor and before.former.minor < now.minor
    return EtcdRecord(now, before.confirmed if held else "", before.former if lower else None)


def _of_manifest(paths: Paths) -> EtcdRecord | None:
    try:
        containers = (writer.read(paths, "etcd") or {})["spec"]["containers"]
        image = str(containers[0]["image"])
    except (KeyError, IndexError, TypeError):
        return None
    return EtcdRecord(EtcdImage(image, version_of_image(image)))
