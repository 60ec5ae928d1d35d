"""The version that a channel names: by a redirect of a web server, or the newest in a directory of releases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from rke2.errors import RKE2Error
from rke2.registry.proxies import proxy_for
from rke2.rollout.versions import ReleaseVersion

SECONDS = 30.0


class ChannelError(RKE2Error):
    """A channel that names no version."""


class _Unfollowed(HTTPRedirectHandler):
    """Redirects are the answer."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


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
    return await asyncio.to_thread(_ask, channel, headers)


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


def _ask(url: str, headers: Mapping[str, str]) -> str:
    proxy = proxy_for(url)
    opener = build_opener(_Unfollowed, ProxyHandler({urlsplit(url).scheme: proxy} if proxy else {}))
    try:
        with opener.open(Request(url, headers=dict(headers)), timeout=SECONDS):
            # One that is answered names the version itself.
            return _last(url)
    except HTTPError as error:
        if 300 <= error.code < 400 and error.headers.get("Location"):
            return _last(error.headers["Location"])
        raise ChannelError(f"{url}: unexpected response: {error.code} {error.reason}") from None
    except (URLError, HTTPException, OSError) as error:
        raise ChannelError(f"{url}: {getattr(error, 'reason', error)}") from None


def _last(url: str) -> str:
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
