"""Draws docs/explanation/states.md from the tables of the code. After a change to one: `python docs/draw_states.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from securefl.secagg import states as sums
from securefl.secagg.messages import Abort
from securefl.secagg.states import At, Place, Table, places
from securefl.submodel import states as rounds

PAGE = Path(__file__).parent / "explanation" / "states.md"

INTRODUCTION = """# States and messages

<!-- Drawn by docs/draw_states.py from securefl/secagg/states.py and securefl/submodel/states.py: edit those. -->

An arrow is a message and where it leads. What is not drawn is refused:

- A *client* that is told anything else, or is told it wrongly, is `Aborted` for good and its secrets are gone. `Abort`,
  which no picture shows, does the same in any state.
- A *server* drops a sender of anything else from the step, and goes on. It leaves a state when everybody it awaits has
  answered or was dropped, or when it is told to `advance`; with too few left it is `Aborted`. Where it awaits nobody
  (`Created`, `Resting`) it ignores what it is sent.

`QuantizedUpdate` is no message: a client's own training hands it to `upload`. Arrows marked *malicious* or
*semi-honest* exist in that setting only. A test walks client and server through every pair of state and message and
compares with the tables that this page is drawn from.
"""

TITLES: Mapping[str, tuple[str, Mapping[str, Table]]] = {
    "A client of plain sums": ("Invited", sums.CLIENT),
    "The server of plain sums": ("AwaitingAdverts", sums.SERVER),
    "A client of a submodel round": ("Invited", rounds.CLIENT),
    "The server of a submodel round": ("AwaitingAdverts", rounds.SERVER),
}
"""Title -> first state, tables by setting"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, (first, tables) in TITLES.items():
        parts.append(f"## {title}\n\n```mermaid\n" + "\n".join(diagram(first, tables)) + "\n```\n")
    return "\n".join(parts)


def diagram(first: str, tables: Mapping[str, Table]) -> Iterator[str]:
    """A Mermaid state diagram of both settings."""
    rows = dict.fromkeys(row for setting in ("malicious", "semi_honest") for row in tables[setting])
    drawn = [row for row in rows if row.message is not Abort]
    yield "stateDiagram-v2"
    for place in places(tuple(drawn)):
        if isinstance(place, At):
            yield f'    state "{place.state.__name__} ({place.sum})" as {name(place)}'
    yield f"    [*] --> {first}"
    for row in drawn:
        in_settings = [setting for setting, table in tables.items() if row in table]
        mark = "" if len(in_settings) == len(tables) else f" ({in_settings[0].replace('_', '-')})"
        yield f"    {name(row.place)} --> {name(row.next)}: {row.message.__name__}{mark}"


def name(place: Place) -> str:
    """A place's name inside a diagram."""
    return f"{place.state.__name__}_{place.sum}" if isinstance(place, At) else place.__name__


if __name__ == "__main__":
    PAGE.write_text(page())
