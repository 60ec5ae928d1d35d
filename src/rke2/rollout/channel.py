"""The version that a channel names: by a redirect of a web server, or the newest in a directory of releases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rke2.errors import RKE2Error
from rke2.release_version import ReleaseVersion


class ChannelError(RKE2Error):
    """A channel that names no version."""


async def latest(channel: str, headers: Mapping[str, str]) -> str:
    """The version that `channel` names.

    Args:
        channel: ``https://…``, ``http://…``, or ``file:///DIRECTORY`` of this server.
        headers: sent along, as upstream does: ``X-SUC-Cluster-ID`` and ``X-SUC-Latest-Version``.

    Raises:
        ChannelError: it names none; says why.
    """
    where = urlsplit(channel)
    if where.scheme == "file":
        return await asyncio.to_thread(newest_in, Path(unquote(where.path)))
    if where.scheme not in ("http", "https"):
        raise ChannelError(f"{channel!r} is not a valid channel: a URL with http, https or file is")
    from rke2.rollout.redirect import named_by

    return await asyncio.to_thread(named_by, channel, headers)


def newest_in(directory: Path) -> str:
    """The newest release that has a directory in `directory`, which is called as its version.

    Raises:
        ChannelError: there is none.
    """
    try:
        names = [each.name for each in directory.iterdir() if each.is_dir()]
    except OSError as error:
        raise ChannelError(f"{directory}: {error.strerror}") from None
    if newest := _newest(names):
        return newest
    raise ChannelError(f"{directory} has no directory that is named as a release, such as v1.37.2+rke2py1")


def _newest(names: Iterable[str]) -> str:
    versions = [(found, name) for name in names if (found := ReleaseVersion.parse(name))]
    return max(versions, default=(None, ""))[1]
