from __future__ import annotations

from rke2.addons.helm.proxy import job_proxy
from tests.configs import server_config

NETWORK = server_config().network
OWN = ".svc,.cluster.local,10.42.0.0/16,10.43.0.0/16"


def test_the_clusters_networks_are_never_proxied() -> None:
    assert job_proxy({}, NETWORK) == {"NO_PROXY": OWN}


def test_both_spellings_are_merged_and_nothing_is_repeated() -> None:
    environment = {"NO_PROXY": "a,.svc", "no_proxy": "b,a", "HTTPS_PROXY": "http://p:1", "HOME": "/root"}
    assert job_proxy(environment, NETWORK) == {
        "NO_PROXY": f"a,.svc,b,{OWN.removeprefix('.svc,')}",
        "HTTPS_PROXY": "http://p:1",
    }
