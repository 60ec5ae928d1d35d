from __future__ import annotations

import pytest

from rke2.kube.lease import LeaseTiming


def test_defaults_and_variables() -> None:
    assert LeaseTiming.from_environment({}) == LeaseTiming(45, 30, 2)
    given = {"CATTLE_ELECTION_LEASE_DURATION": "1m", "CATTLE_ELECTION_RETRY_PERIOD": "500ms"}
    assert LeaseTiming.from_environment(given) == LeaseTiming(60, 30, 0.5)
    assert LeaseTiming.from_environment({"CATTLE_DEV_MODE": "true"}).lease > 3600


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(ValueError, match="CATTLE_ELECTION_RENEW_DEADLINE"):
        LeaseTiming.from_environment({"CATTLE_ELECTION_RENEW_DEADLINE": "soon"})
