"""Which ingress controllers may be chosen, and what follows from the choice."""

from __future__ import annotations

import pytest

from rke2.config.ingress import unselected_charts
from rke2.errors import ConfigError
from tests.unit.config.nodes import server


@pytest.mark.parametrize(
    ("argv", "chosen", "by_default"),
    [
        ([], ("ingress-nginx",), True),
        (["--ingress-controller=ingress-nginx"], ("ingress-nginx",), False),
        (["--ingress-controller=traefik"], ("traefik",), False),
        (["--ingress-controller=traefik,ingress-nginx"], ("traefik", "ingress-nginx"), False),
        (["--ingress-controller=traefik", "--ingress-controller=traefik"], ("traefik",), False),
        (["--ingress-controller=none"], (), False),
    ],
)
def test_the_choice(argv: list[str], chosen: tuple[str, ...], by_default: bool) -> None:
    network = server(*argv).network
    assert (network.ingress_controllers, network.ingress_by_default) == (chosen, by_default)


@pytest.mark.parametrize(
    ("value", "message"),
    [("none,traefik", "none excludes all others"), ("haproxy", "ingress-controller: .*haproxy")],
)
def test_what_cannot_be_is_refused(value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        server(f"--ingress-controller={value}")


@pytest.mark.parametrize(
    ("chosen", "left_out"),
    [
        (("ingress-nginx",), {"rke2-traefik", "rke2-traefik-crd"}),
        (("traefik",), {"rke2-ingress-nginx", "rke2-ingress-nginx-crd"}),
        (("traefik", "ingress-nginx"), set()),
    ],
)
def test_charts_of_others_are_left_out(chosen: tuple[str, ...], left_out: set[str]) -> None:
    assert set(unselected_charts(chosen)) == left_out
