from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rke2.errors import ConfigError
from rke2.pki.lifetime import SECONDS, VARIABLE, leaf_lifetime, renew_before, warn_before
from rke2.pki.pem import read_certificates
from rke2.pki.server_pki import ensure_server_pki
from tests.configs import paths_under, server_config


def test_a_year_unless_the_environment_says_otherwise() -> None:
    assert leaf_lifetime({}) == leaf_lifetime({VARIABLE: ""}) == timedelta(days=365)
    assert leaf_lifetime({VARIABLE: "30"}) == timedelta(days=30)


@pytest.mark.parametrize("text", ["a year", "0", "-3", "1.5", "36501", "٣", "9" * 5000])
def test_what_is_no_number_of_days_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE) as refused:
        leaf_lifetime({VARIABLE: text})
    assert "1 to 36500" in refused.value.remedy


async def test_leaves_live_that_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "200")
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    leaf = read_certificates(config.paths.tls / "client-admin.crt")
    assert leaf
    left = leaf.first.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=199) < left <= timedelta(days=200)


def test_two_thirds_of_a_life_and_then_rke2s_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert renew_before() == timedelta(days=365) / 3 > warn_before() == timedelta(days=120)
    monkeypatch.setenv(VARIABLE, "30")
    assert renew_before() == timedelta(days=10) > warn_before() > timedelta(days=9)
    monkeypatch.setenv(VARIABLE, "3650")
    assert warn_before() == timedelta(days=120)


@pytest.mark.parametrize(
    ("life", "before"),
    [(86400, 28800), (1020, 340), (1000, 340), (510, 340), (300, 200), (90, 60)],
)
def test_what_lives_for_minutes_is_renewed_while_others_still_have_time_to_read_it(
    life: int, before: int
) -> None:
    assert renew_before(timedelta(seconds=life)) == timedelta(seconds=before)


def test_tests_count_in_seconds() -> None:
    assert leaf_lifetime({VARIABLE: "30", SECONDS: "90"}) == timedelta(seconds=90)
    with pytest.raises(ConfigError, match=SECONDS):
        leaf_lifetime({SECONDS: "soon"})
