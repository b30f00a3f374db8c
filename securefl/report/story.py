"""What a run says in plain words: the verdict, the phases, what was seen and what is not protected.

The table of the terminal and the HTML page both tell this story; neither computes anything of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from dp import TwoStage
from securefl.federation.records import PHASES, RunSummary
from securefl.report import numbers

__all__ = ["Verdict", "Phase", "verdict", "phases", "savings", "response", "not_protected", "aggregates", "LABELS"]

LABELS = {
    "advertise_keys": ("Announce keys", "each client sends fresh public keys"),
    "share_keys": ("Share keys", "secrets are split among the others, so that a lost client can be repaired"),
    "union": ("Union", "one masked sum tells which items the group holds, not who holds which"),
    "claim": ("Claim", "each client asks for rows, with deniable extras"),
    "train": ("Train", "the rows come down, and the client learns from its own clicks"),
    "update": ("Update", "masked updates go up, and survivors release what opens their total and nothing else"),
}
"""Name of a phase for people, and what happens in it."""

NEVER_SAW = (
    "The server never saw an update nor an index set: neither what a client learned nor which items it was about."
)


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader sees."""

    tone: Literal["good", "warn", "bad"]
    title: str
    text: str


@dataclass(frozen=True)
class Phase:
    """One phase: means of a completed round per client, seconds of the whole simulation, clients lost in all rounds."""

    name: str
    label: str
    meaning: str
    seconds: float
    up: float
    down: float
    lost: int


def verdict(summary: RunSummary) -> Verdict:
    """Were the secure sums exactly the clear ones, and did every round finish?"""
    done, rounds = summary.rounds_completed, summary.rounds
    if not summary.exact:
        wrong = sum(not record.exact for record in summary.per_round)
        return Verdict(
            "bad",
            f"{wrong} of {rounds} rounds not exact",
            "A secure sum differs from the sum of the clear inputs. Do not use this model: please report it.",
        )
    if done == 0:
        return Verdict("bad", "No round could finish", _why_aborted(summary))
    if done < rounds:
        return Verdict("warn", f"{done} of {rounds} rounds finished, all exact", _why_aborted(summary))
    given_away = _given_away(summary)
    return Verdict(
        "warn" if given_away else "good",
        f"{done} of {rounds} rounds exact",
        f"{given_away or NEVER_SAW} Every total it opened equals the true one, bit for bit.",
    )


def _given_away(summary: RunSummary) -> str | None:
    """What the settings themselves let the server read."""
    if summary.epsilon_claims_ever == inf:
        return "The server saw no update, but the claims told the truth: it read every index set."
    if section(summary, "privacy")["row_floor"] == 1:
        return "The server saw no index set, but with no row floor a row that one client claims is its update."
    return None


def _why_aborted(summary: RunSummary) -> str:
    reason = next((record.abort for record in summary.per_round if record.abort), "too few clients were left")
    return f"A round stopped because: {reason}. Nothing was opened after that, and the model did not change."


def phases(summary: RunSummary) -> list[Phase]:
    """Every phase in order, whether or not something happened in it."""
    completed = [record for record in summary.per_round if record.completed]
    return [
        Phase(
            name,
            *LABELS[name],
            seconds=_mean([record.seconds.get(name, 0.0) for record in completed]),
            up=_mean([record.bytes_up.get(name, 0.0) for record in completed]),
            down=_mean([record.bytes_down.get(name, 0.0) for record in completed]),
            lost=sum(record.dropouts.get(name, 0) for record in summary.per_round),
        )
        for name in PHASES
    ]


def _mean(values: list[float]) -> float:
    """0 of no values."""
    return sum(values) / len(values) if values else 0.0


def savings(summary: RunSummary) -> float | None:
    """Bytes of a full-model round over bytes of a round of this run; None if no round completed."""
    sent = summary.bytes_up_per_client + summary.bytes_down_per_client
    return summary.full_model_bytes / sent if sent > 0 else None


def response(summary: RunSummary) -> TwoStage:
    """The randomized response of the run's claims, with exact probabilities."""
    return TwoStage.parse(str(section(summary, "privacy")["response"]))


def aggregates(summary: RunSummary) -> str:
    """What the opened sums say about one client, in a few words."""
    spent = [record.epsilon_sums_spent for record in summary.per_round if record.epsilon_sums_spent is not None]
    if not spent:
        return "aggregates: unbounded without central noise"
    return (
        f"sums: {numbers.epsilon(max(spent))} a client at delta {section(summary, 'privacy')['delta']:g}, union: exact"
    )


def section(summary: RunSummary, name: str) -> dict[str, Any]:
    """One section of the settings that ran."""
    settings: Any = summary.settings
    return dict(settings[name])


def not_protected(summary: RunSummary) -> list[tuple[str, str]]:
    """What this run does not hide, as (name, explanation), the most important first."""
    floor, colluders = section(summary, "privacy")["row_floor"], section(summary, "secagg")["colluders"]
    limits = [
        _totals(summary),
        (
            "Rows with few real contributors",
            f"A row goes up when {floor} or more clients claim it. Claims are deniable, so some of them may be empty: "
            "a total can still be one client's update.",
        ),
        (
            "The union of all items",
            "The server learns which items the group holds, one held by a single client included.",
        ),
        ("Who shares a claim, from peers", "A client learns which others claim the same rows."),
        _cheating(section(summary, "secagg")["setting"], colluders),
    ]
    if summary.epsilon_claims_ever == inf:
        limits.insert(0, ("The claims", "They tell the truth: the server reads who holds which item."))
    if not summary.private:
        limits.append(("This very run: a simulation", "Its claims, blinding and rounding came from a seed."))
    return limits


def _totals(summary: RunSummary) -> tuple[str, str]:
    if section(summary, "privacy").get("noise_multiplier"):
        return (
            "Totals over many rounds",
            "Sums of updates carry noise, and what they say about one client adds up with every round that it is in.",
        )
    return (
        "The totals themselves",
        "Sums and counts reach the server exactly, without noise: they say something about the group.",
    )


def _cheating(setting: str, colluders: int) -> tuple[str, str]:
    if setting == "malicious":
        return (
            "A crafted model or a false result",
            "Survivors signed what the server told them before a sum was opened, and no two views were answered, with "
            f"at most {colluders} clients on its side. What model it sends, and what it says came out, nobody checks.",
        )
    return (
        "Anything, if the server cheats",
        f"The server was assumed to follow the protocol, with at most {colluders} of its clients on its side.",
    )
