"""What is told of an answer that says no."""

from __future__ import annotations

from rke2.kube.client import _refusal

READYZ = b"".join(b"[+]poststarthook/number-%d ok\n" % number for number in range(30)) + (
    b"[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n"
)


def test_of_a_health_endpoint_only_failed_checks_are_told() -> None:
    error = _refusal("GET https://127.0.0.1:6443/readyz", 500, READYZ)
    where = "GET https://127.0.0.1:6443/readyz"
    assert error.message == f"{where}: 500 failed checks poststarthook/rbac/bootstrap-roles"


def test_a_status_is_told_by_its_message() -> None:
    error = _refusal("GET pods", 403, b'{"kind": "Status", "message": "no", "reason": "Forbidden"}')
    assert (error.message, error.reason, error.status) == ("GET pods: no", "Forbidden", 403)


def test_something_else_is_told_in_short() -> None:
    assert _refusal("GET /", 502, b"<html>" + 1000 * b"x").message == "GET /: 502 <html>" + 194 * "x"
