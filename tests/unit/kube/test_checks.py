from __future__ import annotations

from rke2.kube.checks import gist

READYZ = """\
[+]ping ok
[-]etcd failed: reason withheld
[+]poststarthook/generic-apiserver-start-informers ok
[-]poststarthook/rbac/bootstrap-roles failed: reason withheld
readyz check failed
"""


def test_of_a_list_of_checks_those_that_failed_are_told() -> None:
    assert gist(READYZ) == "failed checks etcd, poststarthook/rbac/bootstrap-roles"


def test_any_other_answer_becomes_one_short_line() -> None:
    assert gist("no\n leader\n") == "no leader"
    assert len(gist("long " * 100)) == 200
