"""Which profile changes what, and what contradicts it."""

from __future__ import annotations

import pytest

from rke2.config.profiles import PROFILES, protects_kernel_defaults
from rke2.errors import ConfigError
from tests.unit.config.nodes import settings


def test_only_cis_asks_for_kernel_settings_and_closes_namespaces() -> None:
    assert [name for name, profile in PROFILES.items() if profile.sysctls] == ["cis"]
    assert [name for name, profile in PROFILES.items() if profile.guarded_namespaces] == ["cis"]
    assert [name for name, profile in PROFILES.items() if profile.etcd_user] == ["etcd", "cis"]


@pytest.mark.parametrize(
    ("argv", "on"),
    [
        ([], False),
        (["--protect-kernel-defaults"], True),
        (["--profile=cis"], True),
        (["--profile=etcd"], False),
        (["--profile=etcd", "--protect-kernel-defaults=false"], False),
    ],
)
def test_cis_protects_the_kernels_defaults(argv: list[str], on: bool) -> None:
    assert protects_kernel_defaults(settings(*argv)) is on


def test_cis_without_that_is_refused_in_rke2s_words() -> None:
    with pytest.raises(ConfigError, match="--protect-kernel-defaults must be true when using --profile=cis"):
        protects_kernel_defaults(settings("--profile=cis", "--protect-kernel-defaults=false"))


def test_a_profile_of_earlier_releases_is_refused_with_its_name_of_today() -> None:
    with pytest.raises(ConfigError, match=r"expected one of cis, etcd \(did you mean cis\?\)"):
        settings("--profile=cis-1.23")
