"""Long runs as one self-contained HTML page: how far, how well, and every curve over the rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from markupsafe import Markup

from securefl import __version__
from securefl.errors import ConfigurationError
from securefl.report import curves, numbers, story
from securefl.report.page import environment
from securefl.report.training_table import outcome

if TYPE_CHECKING:
    from securefl.federation.records import RunSummary

__all__ = ["render_training"]


def render_training(runs: Mapping[str, RunSummary]) -> str:
    """The page of runs by name, drawn together. Equal runs give equal pages. Needs matplotlib (`require_plots`).

    Raises ConfigurationError for none, or for more than can be told apart.
    """
    from securefl.report.training_plots import STROKES, drawn  # matplotlib takes 0.7 s to import: only for a page

    if not 1 <= len(runs) <= len(STROKES):
        raise ConfigurationError(f"DIR: {len(runs)} runs cannot be drawn together; use 1 to {len(STROKES)}")
    pictures = curves.curves(runs)
    return (
        environment()
        .get_template("training.html.j2")
        .render(
            runs=runs,
            version=__version__,
            title=_title(runs),
            tone=_tone(runs),
            titles={name: curves.title(run) for name, run in runs.items()},
            outcomes={name: outcome(run) for name, run in runs.items()},
            limits=_limits(runs),
            curves=pictures,
            strokes=STROKES,
            plots={curve.name: Markup(drawn(curve)) for curve in pictures},  # noqa: S704 (our own SVG)
        )
    )


def _title(runs: Mapping[str, RunSummary]) -> str:
    if len(runs) > 1:
        return f"{len(runs)} runs beside each other"
    (run,) = runs.values()
    judged = [record.round for record in run.per_round if record.auc is not None]
    return f"AUC {numbers.auc_short(run.auc_end)} after round {judged[-1]}" if judged else f"{run.rounds} rounds"


def _tone(runs: Mapping[str, RunSummary]) -> str:
    """Bad if a sum was wrong; a warning if an upload was not masked, or no round finished."""
    if not all(run.exact for run in runs.values()):
        return "bad"
    fine = all(run.rounds_completed and not run.plain for run in runs.values())
    return "good" if fine else "warn"


def _limits(runs: Mapping[str, RunSummary]) -> list[tuple[str, str]]:
    """What the first secure run does not hide; of plain ones, everything."""
    secure = [run for run in runs.values() if not run.plain]
    limits = story.not_protected(secure[0]) if secure else []
    if len(secure) < len(runs):
        limits.insert(0, ("Anything of a plain run", "No upload was masked: the server read every input."))
    return limits
