from __future__ import annotations

import pytest

from rke2.staticpods.quantity import canonical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1024Mi", "1Gi"),
        ("512Mi", "512Mi"),
        ("1.5Gi", "1536Mi"),
        ("1000Mi", "1000Mi"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("250m", "250m"),
        ("1000m", "1"),
        ("0.1", "100m"),
        ("2", "2"),
        ("1500", "1500"),
        ("1000000", "1M"),
        ("0", "0"),
        ("a lot", "a lot"),
        ("", ""),
    ],
)
def test_as_kubernetes_spells_it(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected
