"""Numbers as people read them. Decimal units, three significant digits, never NaN."""

from __future__ import annotations

from math import exp, inf, isfinite

__all__ = [
    "size",
    "seconds",
    "epsilon",
    "auc",
    "auc_short",
    "times",
    "odds",
    "whole",
    "plain",
    "measure",
    "share",
    "NOTHING",
]

NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""
TIMES = "\N{MULTIPLICATION SIGN}"


def size(count: float) -> str:
    """Bytes: ``940 B``, ``14.5 kB``, ``1.02 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5 or unit == "GB":
            break
        count /= 1000
    return f"{_three(count)} {unit}"


def seconds(duration: float) -> str:
    """``0.042 s``, ``3.1 s``, ``2 min 5 s``."""
    if duration < 60:
        return f"{_three(duration)} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest} s"


def epsilon(value: float) -> str:
    """Two decimals, ``∞`` for no privacy."""
    return f"{value:.2f}" if isfinite(value) else "∞"


def odds(value: float) -> str:
    """e**epsilon: the factor by which an observer's odds may change."""
    return "any factor" if value == inf else _three(exp(value)) + TIMES


def auc(value: float | None) -> str:
    """Four decimals, or a dash where undefined."""
    return NOTHING if value is None else f"{value:.4f}"


def auc_short(value: float | None) -> str:
    """Three decimals, or a dash where undefined."""
    return NOTHING if value is None else f"{value:.3f}"


def times(ratio: float) -> str:
    """How many times as much: 15 or 3.4, and the sign."""
    return (f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}") + TIMES


def whole(count: float) -> str:
    """A count, with separators: ``143,534``; a mean of counts keeps one decimal below 100."""
    return f"{count:,.0f}" if count == round(count) or count >= 100 else f"{count:,.1f}"


def plain(value: object) -> str:
    """The value of a setting."""
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def share(value: float) -> str:
    """A part of the whole: ``78 %``, ``0.15 %``, ``3.2e-10``."""
    if 0 < value < 1e-4:
        return f"{value:.1e}"
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def measure(value: float, unit: str) -> str:
    """A number with its unit, as a figure of an audit has them."""
    match unit:
        case _ if value == inf:
            return "∞"
        case "nats":
            return f"ε {value:.2f}"
        case "probability" | "share":
            return share(value)
        case "bytes":
            return size(value)
        case "":
            return f"{value:.3g}"
        case "bits" | "of the update":
            return f"{value:.3g} {unit}"
    return f"{whole(value)} {unit[:-1] if value == 1 else unit}"


def _three(value: float) -> str:
    """Three significant digits without an exponent; trailing zeros of a fraction dropped."""
    if value == 0:
        return "0"
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else 3
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
