from __future__ import annotations

import pytest

from rke2.registry.proxies import proxy_for

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("https://reg.example/v2", "", False),
        ("https://reg.example/v2", "*", True),
        ("https://reg.example/v2", "reg.example", True),
        ("https://reg.example/v2", "example", True),
        ("https://reg.example/v2", ".example", True),
        ("https://reg.example/v2", "*.example", True),
        ("https://example/v2", ".example", False),
        ("https://myreg.example/v2", "reg.example", False),
        ("https://reg.example/v2", "reg.example:443", True),
        ("https://reg.example:5000/v2", "reg.example:443", False),
        ("https://10.1.2.3:5000/v2", "10.0.0.0/8", True),
        ("https://11.1.2.3/v2", "10.0.0.0/8, 192.168.0.0/16", False),
        ("https://10.1.2.3/v2", "a.example, 10.1.2.3", True),
        ("https://[fd00::1]/v2", "fd00::/8", True),
        ("https://[fd00::1]:5000/v2", "[fd00::1]:5000", True),
        ("https://reg.example/v2", "10.0.0.0/99", False),
        ("https://127.0.0.1:5000/v2", "", True),
        ("http://localhost/v2", "", True),
        ("http://reg.example/v2", "", False),
    ],
)
def test_no_proxy(url: str, no_proxy: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": PROXY, "http_proxy": PROXY, "NO_PROXY": no_proxy}
    assert proxy_for(url, environ) == (None if direct else PROXY)


def test_without_variables_it_is_direct() -> None:
    assert proxy_for("https://reg.example", {}) is None
    assert proxy_for("http://reg.example", {"HTTPS_PROXY": PROXY}) is None


def test_a_proxy_without_a_scheme() -> None:
    assert proxy_for("https://reg.example", {"https_proxy": "proxy.example:3128"}) == PROXY
