from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.content.images.names import normalize
from rke2.errors import ContentError
from rke2.registry.reference import ImageReference

HEX = "0123456789abcdef"
words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
components = st.lists(words, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([".", "_", "__", "-", "---"]).map(lambda mark: mark.join(parts))
)
hosts = st.builds(
    lambda labels, port: ".".join(labels) + port,
    st.lists(words, min_size=2, max_size=3),
    st.integers(0, 65535).map(lambda number: f":{number}") | st.just(""),
) | st.sampled_from(["localhost", "localhost:5000", "[::1]:5000", "docker.io"])
repositories = st.lists(components, min_size=2, max_size=4).map("/".join)
tags = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(string.ascii_letters + string.digits + "_"),
    st.text(string.ascii_letters + string.digits + "_.-", max_size=20),
)
digests = st.text(HEX, min_size=64, max_size=64).map(lambda text: f"sha256:{text}")


@given(hosts, repositories, tags, digests | st.just(""))
def test_a_full_reference_is_read_and_written_alike(
    host: str, repository: str, tag: str, digest: str
) -> None:
    text = f"{host}/{repository}:{tag}" + (f"@{digest}" if digest else "")
    reference = ImageReference.parse(text)
    assert reference == ImageReference(host, repository, tag, digest)
    assert str(reference) == text
    assert reference.target == (digest or tag)


@given(hosts, repositories, digests)
def test_a_digest_needs_no_tag(host: str, repository: str, digest: str) -> None:
    reference = ImageReference.parse(f"{host}/{repository}@{digest}")
    assert (reference.tag, str(reference)) == ("", f"{host}/{repository}@{digest}")


@given(st.text(max_size=40) | st.text(HEX + ":/@._-", max_size=80))
def test_anything_else_is_refused_with_the_form(text: str) -> None:
    try:
        again = ImageReference.parse(str(ImageReference.parse(text)))
    except ContentError as error:
        assert repr(text) in error.message
        assert "[host[:port]/]name" in error.remedy
    else:
        assert ImageReference.parse(text) == again


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("a/b", "docker.io/a/b:latest"),
        ("index.docker.io/rancher/x:v1", "docker.io/rancher/x:v1"),
        ("registry-1.docker.io/x:v1", "registry-1.docker.io/x:v1"),
        ("localhost/x:v1", "localhost/x:v1"),
        ("reg:5000/x", "reg:5000/x:latest"),
        ("Reg/x", "Reg/x:latest"),
    ],
)
def test_short_forms(text: str, full: str) -> None:
    assert str(ImageReference.parse(text)) == full


@given(hosts, repositories, tags)
def test_archives_name_images_alike(host: str, repository: str, tag: str) -> None:
    text = f"{host}/{repository}:{tag}"
    assert str(ImageReference.parse(text)) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/x",
        "x/",
        "A",
        "a//b",
        "a:",
        "a:b:c",
        "a@sha256:1",
        "a@md5:" + "0" * 32,
        "reg.example/../x",
        "a b",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ContentError, match="is not an image reference"):
        ImageReference.parse(text)
