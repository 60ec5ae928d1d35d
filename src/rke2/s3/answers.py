"""What object stores answer with: XML, of which only the names of elements matter, not their namespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote
from xml.etree import ElementTree

Element = ElementTree.Element


@dataclass(frozen=True)
class Listed:
    """An object of a listing; `modified` is Unix time."""

    key: str
    size: int
    etag: str
    modified: float


@dataclass(frozen=True)
class BucketPage:
    """Part of a listing, and what to ask for the next one with; empty at the end."""

    objects: list[Listed]
    next: str


@dataclass(frozen=True)
class Refusal:
    """An error as the store tells it."""

    code: str
    message: str
    region: str = ""


def parse(body: bytes, root: str) -> Element | None:
    """The document, if it is one with this root element; None if it is anything else."""
    try:
        found = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return None
    return found if _name(found) == root else None


def refusal(body: bytes) -> Refusal | None:
    """The error in an answer; None if no object store has said it."""
    found = parse(body, "Error")
    if found is None or not text(found, "Code"):
        return None
    return Refusal(text(found, "Code"), text(found, "Message"), text(found, "Region"))


def page(document: Element) -> BucketPage:
    """A ``ListBucketResult``.

    Raises:
        ValueError: a number or a time in it is malformed.
    """
    encoded = text(document, "EncodingType") == "url"
    objects = [_listed(each, encoded) for each in _children(document, "Contents")]
    more = text(document, "IsTruncated") == "true"
    return BucketPage(objects, text(document, "NextContinuationToken") if more else "")


def uploads(document: Element) -> list[tuple[str, str]]:
    """Key and id of each upload in a ``ListMultipartUploadsResult``."""
    return [(text(each, "Key"), text(each, "UploadId")) for each in _children(document, "Upload")]


def text(element: Element, name: str) -> str:
    """The text of a child; empty if there is none."""
    return next((child.text or "" for child in _children(element, name)), "")


def _listed(element: Element, encoded: bool) -> Listed:
    key = text(element, "Key")
    modified = datetime.fromisoformat(text(element, "LastModified"))
    return Listed(
        unquote(key) if encoded else key,
        int(text(element, "Size")),
        text(element, "ETag").strip('"'),
        (modified if modified.tzinfo else modified.replace(tzinfo=UTC)).timestamp(),
    )


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _name(child) == name)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
