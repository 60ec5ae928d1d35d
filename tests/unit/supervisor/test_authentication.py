"""Whom a client certificate names."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rke2.supervisor.authentication import certificate_identity


def peer(*attributes: tuple[str, str], together: bool = False) -> dict[str, Any]:
    """A certificate as `ssl` shows it; the attributes in names of their own, or `together` in one."""
    subject = (attributes,) if together else tuple((attribute,) for attribute in attributes)
    form = "%b %d %H:%M:%S %Y GMT"
    begin, end = (time.strftime(form, time.gmtime(time.time() + offset)) for offset in (-3600, 3600))
    return {"subject": subject, "notBefore": begin, "notAfter": end}


def test_name_and_groups() -> None:
    found = certificate_identity(
        peer(("organizationName", "a"), ("commonName", "system:node:n"), ("organizationName", "b"))
    )
    assert found
    assert (found.name, found.node) == ("system:node:n", "n")
    assert found.groups == {"a", "b", "system:authenticated"}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("names", [(), ("",), ("system:node:n", "system:admin"), ("same", "same"), ("", "x")])
def test_a_certificate_with_no_name_or_several_is_nobodys(names: tuple[str, ...], together: bool) -> None:
    attributes = [("organizationName", "system:masters"), *(("commonName", name) for name in names)]
    assert certificate_identity(peer(*attributes, together=together)) is None
