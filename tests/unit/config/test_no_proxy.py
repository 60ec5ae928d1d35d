from __future__ import annotations

import pytest

from rke2.config.no_proxy import except_cluster
from tests.configs import server_config

OWN = ".svc,.cluster.local,10.42.0.0/16,10.43.0.0/16"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"NO_PROXY": OWN}),
        ({"NO_PROXY": "a.example,b.example", "X": "y"}, {"NO_PROXY": f"a.example,b.example,{OWN}", "X": "y"}),
        ({"no_proxy": "b.example", "NO_PROXY": "a.example,"}, {"NO_PROXY": f"a.example,b.example,{OWN}"}),
        ({"NO_PROXY": f"a.example,{OWN}"}, {"NO_PROXY": f"a.example,{OWN}"}),
    ],
)
def test_the_cluster_is_excepted_behind_what_the_operator_excepts(
    before: dict[str, str], after: dict[str, str]
) -> None:
    environ = dict(before)
    except_cluster(environ, server_config().network)
    assert environ == after
    except_cluster(environ, server_config().network)
    assert environ == after, "a boot that begins again"
