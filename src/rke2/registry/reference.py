"""Image references: ``[host[:port]/]path[:tag][@digest]``, with Docker's short forms.

The grammar is that of the distribution project: a first component with a dot, a colon or capitals, or ``localhost``,
is a host; anything else is on Docker Hub, where a name without ``/`` is one of ``library/``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rke2.errors import ContentError
from rke2.registry.hosts import DOCKER_HUB

_OLD_HUB = "index.docker.io"
_LONGEST_NAME = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True)
class ImageReference:
    """An image by its full name. Tag or digest is set, or both; then the digest decides."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read a reference in its full or a short form; without tag and digest it is ``latest``.

        Raises:
            ContentError: it is not a valid reference.
        """
        name, at, digest = text.partition("@")
        path, tag = _split_tag(name)
        host, repository = _split_host(path)
        valid = (
            _HOST.fullmatch(host)
            and _REPOSITORY.fullmatch(repository)
            and len(host) + 1 + len(repository) <= _LONGEST_NAME
            and (tag is None or _TAG.fullmatch(tag))
            and (not at or DIGEST.fullmatch(digest))
        )
        if not valid:
            raise ContentError(
                f"{text!r} is not an image reference",
                "the form is [host[:port]/]name[:tag][@sha256:…], the name in small letters",
            )
        return cls(host, repository, tag or ("" if at else "latest"), digest)

    @property
    def target(self) -> str:
        """What a registry is asked for: the digest, or else the tag."""
        return self.digest or self.tag

    @property
    def name(self) -> str:
        """Host and repository."""
        return f"{self.host}/{self.repository}"

    @property
    def looked_up(self) -> str:
        """The spelling that containerd's CRI looks an image up by: without the tag if there is a digest."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    def __str__(self) -> str:
        tag, digest = self.tag and f":{self.tag}", self.digest and f"@{self.digest}"
        return f"{self.name}{tag}{digest}"


def _split_tag(name: str) -> tuple[str, str | None]:
    """A colon after the last slash begins a tag; one before it belongs to the host."""
    head, slash, last = name.rpartition("/")
    component, colon, tag = last.partition(":")
    return f"{head}{slash}{component}", tag if colon else None


def _split_host(path: str) -> tuple[str, str]:
    first, slash, rest = path.partition("/")
    if not slash or not (re.search(r"[.:A-Z]", first) or first == "localhost"):
        first, rest = DOCKER_HUB, path
    if first in (DOCKER_HUB, _OLD_HUB):  # registry-1.docker.io is a host like any other to containerd
        return DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
    return first, rest
