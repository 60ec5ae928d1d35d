"""Amounts of resources as Kubernetes itself spells them: ``1Gi`` for ``1024Mi``, ``1`` for ``1000m``."""

from __future__ import annotations

import re
from fractions import Fraction

_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_FORM = re.compile(r"([+-]?[0-9]*\.?[0-9]+|[+-]?[0-9]+\.)([a-zA-Z]*|[eE][+-]?[0-9]+)")


def canonical(text: str) -> str:
    """The amount without fractional digits and with the largest suffix that allows it.

    Amounts of less than 1024 lose a binary suffix. What is not an amount is returned as it is: the kubelet says so.
    """
    form = _FORM.fullmatch(text.strip())
    if not form:
        return text
    number, suffix = Fraction(form[1]), form[2]
    if suffix in _BINARY[1:]:
        amount = number * 1024 ** _BINARY.index(suffix)
        if abs(amount) >= 1024:
            return _spelled(amount, _BINARY, 1024, Fraction(1))
        return _spelled(amount, _DECIMAL, 1000, Fraction(1, 10**9))
    if suffix in _DECIMAL:
        amount = number * Fraction(1000) ** (_DECIMAL.index(suffix) - 3)
        return _spelled(amount, _DECIMAL, 1000, Fraction(1, 10**9))
    return text


def _spelled(amount: Fraction, suffixes: tuple[str, ...], base: int, smallest: Fraction) -> str:
    units = [(smallest * base**position, suffix) for position, suffix in enumerate(suffixes)]
    for unit, suffix in reversed(units):
        if amount and (amount / unit).denominator == 1:
            return f"{amount / unit}{suffix}"
    # Rounded up, as Kubernetes does: a request never becomes less than was asked for.
    return f"{-(-amount // smallest)}{suffixes[0]}" if amount else "0"
