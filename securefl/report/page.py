"""A run as one self-contained HTML page: no script, no network, light and dark, screen and paper."""

from __future__ import annotations

from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

from securefl import __version__
from securefl.errors import ConfigurationError
from securefl.report import numbers, story

if TYPE_CHECKING:
    from securefl.federation.records import RunSummary

__all__ = ["render_page", "require_plots"]


def require_plots(option: str) -> None:
    """Raise ConfigurationError, naming the option, if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise ConfigurationError(f"{option}: the page needs matplotlib; install the extra: pip install '.[report]'")


def render_page(summary: RunSummary) -> str:
    """The page. Equal runs give equal pages. Needs matplotlib (see ``require_plots``)."""
    from securefl.report.figures import figures  # matplotlib takes 0.7 s to import: only for a page

    response = story.response(summary)
    return (
        environment()
        .get_template("run.html.j2")
        .render(
            run=summary,
            version=__version__,
            infinity=inf,
            q1=response.q1,
            q0=response.q0,
            verdict=story.verdict(summary),
            phases=story.phases(summary),
            savings=story.savings(summary),
            sent=summary.bytes_up_per_client + summary.bytes_down_per_client,
            limits=story.not_protected(summary),
            plots={name: Markup(drawing) for name, drawing in figures(summary).items()},  # noqa: S704 (our own SVG)
        )
    )


def environment() -> jinja2.Environment:
    """Where the templates of all pages are found, with the filters that they use."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("securefl.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {name: getattr(numbers, name) for name in numbers.__all__ if name.islower()}
    return found
