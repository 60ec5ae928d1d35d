"""A channel on a web server: its redirect names the version. Imported only for one: HTTP takes long to import."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from rke2.registry.proxies import proxy_for
from rke2.rollout.channel import ChannelError

SECONDS = 30.0


class _Unfollowed(HTTPRedirectHandler):
    """Redirects are the answer."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def named_by(url: str, headers: Mapping[str, str]) -> str:
    """The version that the web server at `url` names.

    Raises:
        ChannelError: it names none; says why.
    """
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
