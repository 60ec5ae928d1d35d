"""A configuration from a web server. Imported only where one is asked for: HTTP takes long to import."""

from __future__ import annotations

from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from rke2.errors import ConfigError

_SECONDS = 30


class _KeepingTLS(HTTPRedirectHandler):
    """Follows redirects, but never from https to where anybody on the way could write the configuration."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.type == "https" and not newurl.lower().startswith("https://"):
            raise HTTPError(req.full_url, code, f"it redirects from https to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str) -> str:
    """The text at `url`, http or https.

    Raises:
        ConfigError: there is none.
    """
    try:
        with build_opener(_KeepingTLS).open(url, timeout=_SECONDS) as answer:
            content: bytes = answer.read()
        return content.decode()
    except (URLError, TimeoutError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration at {url} cannot be fetched: {error}") from None
