"""What a run released, by its ledger: spent budget, lost memories, thin rows, and cohorts that differ in a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import inf

import numpy as np
from numpy.typing import NDArray

import dp
from dp.budget import History
from securefl.audit.claims import judged
from securefl.audit.differencing import smallest_group
from securefl.audit.findings import Figure, Finding, Verdict
from securefl.audit.sources import EXACT, FINITE
from securefl.audit.subject import Subject
from securefl.store import Disclosure, Rows

__all__ = ["spent", "memory", "thin_rows", "noisy_sums", "overlap", "tally"]

OFTEN_LONE = 0.05


def tally(disclosures: Sequence[Disclosure]) -> Counter[History]:
    """How many pairs of a client and an index have each history: answers lost, claims sent under the last one."""
    histories = Counter[History]()
    for client in sorted({name for disclosure in disclosures for name in disclosure.claimed}):
        sent = [
            (told.claimed[client], told.union) for told in disclosures if client in told.claimed and told.union.size
        ]
        histories.update(_histories(sent) if sent else ())
    return histories


def _histories(sent: Sequence[tuple[str, NDArray[np.int64]]]) -> Counter[History]:
    """Of one client: which memo answered for which union, oldest first."""
    index = np.concatenate([union for _, union in sent])
    order = np.argsort(index, kind="stable")  # by index, each in the order of the rounds
    index = index[order]
    memo = np.repeat(np.unique([name for name, _ in sent], return_inverse=True)[1], [u.size for _, u in sent])[order]
    new = np.diff(index, prepend=-1) != 0
    lost = ~new & (np.diff(memo, prepend=memo[0]) != 0)
    firsts = np.flatnonzero(new)
    since = np.maximum.reduceat(np.where(new | lost, np.arange(index.size), 0), firsts)
    sends = np.append(firsts[1:], index.size) - since
    pairs, counts = np.unique(np.stack([np.add.reduceat(lost, firsts), sends]), axis=1, return_counts=True)
    return Counter(dict(zip(map(tuple, pairs.T.tolist()), counts.tolist(), strict=True)))


def spent(subject: Subject, disclosures: Sequence[Disclosure]) -> Finding:
    """What claims have cost, the dearest index and the dearest typical set; unfinished rounds count."""
    how, size = subject.config.response, subject.population.typical_set
    histories, rounds = tally(disclosures), max(Counter(c for r in disclosures for c in r.claimed).values(), default=0)
    spending = dp.Budget(how, set_size=size).spending(rounds, histories, ())
    wasted = sum(not disclosure.finished for disclosure in disclosures if disclosure.claimed)
    verdict = judged(spending.index)
    event = how.loss_ever().witness.event
    return Finding(
        id="spent",
        title="Budget spent, by index",
        verdict=verdict,
        value=Figure.of("epsilon of the dearest index so far", spending.index, event),
        says=f"{sum(histories.values()):,} pairs of a client and an index were answered for, one of them in "
        f"{max((sends for _, sends in histories), default=0)} rounds under one permanent answer. {wasted} of "
        f"{len(disclosures)} rounds did not finish; their claims count.",
        change=() if verdict == "pass" else ("keep every client's memo; end the run, or take odds with more doubt",),
        figures=(
            Figure.of(f"epsilon of the dearest {size} indices of a client", spending.members, event),
            Figure("claims of the busiest client", rounds, "rounds", "exact", "ledger"),
            Figure("rounds whose claims were spent for nothing", wasted, "rounds", "exact", "ledger"),
        ),
    )  # fmt: skip


def memory(subject: Subject, disclosures: Sequence[Disclosure]) -> Finding:
    """Clients that answered under more than one memo: what was kept for ever is told a second time."""
    memos = {
        name: [r.claimed[name] for r in disclosures if name in r.claimed] for r in disclosures for name in r.claimed
    }
    changed = sum(len(set(kept)) > 1 for kept in memos.values())
    again = sum(lost * number for (lost, _), number in tally(disclosures).items())
    extra = float(subject.config.response.epsilon_ever()) if again else 0.0
    return Finding(
        id="memory",
        title="Lost memories",
        verdict="warn" if again else "pass",
        value=Figure("permanent answers given a second time", again, "answers", "exact", "ledger"),
        says=f"{changed} of {len(memos)} clients answered under another memo than before"
        + (": each answer given again is charged in full." if again else "; no answer was given twice."),
        change=("keep the memo with the client's identity, and pass its id back so that a lost one is refused",)
        if again
        else (),
        figures=(
            Figure(
                "epsilon that each adds",
                extra,
                "nats",
                "upper",
                "ledger-index",
                subject.config.response.loss_ever().witness.event,
            ),
        ),
    )


def thin_rows(subject: Subject, disclosures: Sequence[Disclosure]) -> Finding:
    """Rows that opened over few claimants, or over one that had data."""
    opened = [rows for disclosure in disclosures for rows in disclosure.rows.values()]
    claimants = np.concatenate([rows.claimants for rows in opened]) if opened else np.zeros(0, np.int64)
    wanted, c = subject.config.row_floor, subject.config.colluders
    thin, least = int((claimants < wanted).sum()), int(claimants.min(initial=0 if not opened else 2**31))
    empty = sum(int((rows.counts == 0).sum()) for rows in opened)
    left_out = sum(disclosure.left_out for disclosure in disclosures)
    alone, lone = int((claimants <= c + 1).sum()), _lone(opened)
    verdict: Verdict = "fail" if alone else "warn" if thin or (lone or 0) > OFTEN_LONE else "pass"
    fewer = Figure("row sums over fewer claimants than wanted", thin, "rows", "exact", "ledger")
    single = Figure("row sums with one honest claimant at most", alone, "rows", "exact", "ledger")
    return Finding(
        id="thin-rows",
        title="Rows that opened thinly",
        verdict=verdict,
        value=single if alone else fewer,
        says=f"{claimants.size:,} row sums opened, over {least} claimants at least where {wanted} are wanted; "
        f"{left_out:,} claimed rows stayed out. {empty:,} counts are 0: every claimant of those was a filler."
        + (f" {alone:,} sums had one honest claimant at most: each is that client's update." if alone else "")
        + ("" if lone is None else f" {lone:.0%} of the sums are one client's update, and its count says so to it."),
        change=_thin_change(alone, thin, lone),
        figures=(
            Figure("row sums that opened", claimants.size, "rows", "exact", "ledger"),
            Figure("fewest claimants in one", least, "clients", "exact", "ledger"),
            fewer if alone else single,
            Figure("counts of 0", empty, "rows", "exact", "ledger"),
            Figure("claimed rows left out", left_out, "rows", "exact", "ledger"),
            *([] if lone is None else [Figure("sums that are one client's update", lone, "share", "exact", "ledger")]),
        ),
    )  # fmt: skip


def noisy_sums(subject: Subject, disclosures: Sequence[Disclosure]) -> Finding:
    """What the opened sums have said about the client that is in most of them, by the noise they carried."""
    delta = Fraction(str(subject.config.privacy.delta))
    opened = [disclosure for disclosure in disclosures if disclosure.survivors]
    releases = {text: dp.Release.parse(text) for text in {one.release for one in opened} if text}
    exact = sum(not one.release for one in opened)
    made = {name: Counter[str]() for one in opened for name in one.survivors}
    for one in opened:
        for name in one.survivors:
            made[name][one.release] += 1
    busiest = max((own.total() for own in made.values()), default=0)
    budget = dp.Budget(subject.config.response, delta=delta)
    spent = max(
        (budget.spending(0, {}, [(releases[t], n) for t, n in own.items() if t]).central for own in made.values()),
        default=dp.Bound(0.0, "upper", "noise-renyi"),
    )
    value = Figure.of("epsilon of the sums for the client in most of them", spent)
    return Finding(
        id="noisy-sums",
        title="Sums with noise",
        verdict="warn" if exact or spent > FINITE else "pass",
        value=Figure("epsilon of the sums", inf, "nats", "exact", "noise-none", EXACT) if exact else value,
        says=f"{len(opened)} rounds opened their sums, {len(opened) - exact} of them with noise. At delta "
        f"{float(delta):g} they cost the client in most of them {spent.text(3)} nats"
        + (f"; the {exact} exact ones have no bound." if exact else "."),
        change=("privacy.noise_multiplier: raise it, or end the run",) if exact or spent > FINITE else (),
        figures=(
            Figure("sums that the busiest client is in", busiest, "rounds", "exact", "ledger"),
        ),
    )  # fmt: skip


def _lone(opened: Sequence[Rows]) -> float | None:
    """Share of sums with one contributor; None where only clients know."""
    known = [rows.contributors for rows in opened if rows.contributors is not None]
    if len(known) < len(opened) or not known:
        return None
    return float((np.concatenate(known) == 1).mean())


def _thin_change(alone: int, thin: int, lone: float | None) -> tuple[str, ...]:
    change = ("privacy.honest_claimants: raise it, or expect fewer losses",) if alone or thin else ()
    return (*change, "privacy.noise_multiplier: noise on the row sums") if (lone or 0) > OFTEN_LONE else change


def overlap(subject: Subject, disclosures: Sequence[Disclosure]) -> Finding:
    """Whether sums of whole rounds, added and subtracted, single out a few clients."""
    cohorts = [frozenset(disclosure.survivors) for disclosure in disclosures if disclosure.survivors]
    c, wanted = subject.config.colluders, subject.config.row_floor
    group, how = smallest_group(cohorts)
    honest = max(0, len(group) - c)
    verdict: Verdict = "pass" if not group or len(group) >= max(2, wanted) else "fail" if honest < 2 else "warn"
    return Finding(
        id="overlap",
        title="Cohorts that overlap",
        verdict=verdict,
        value=Figure("smallest group that sums single out", len(group), "clients", "upper", "span"),
        says=f"{len(cohorts)} rounds opened a sum. "
        + (f"The smallest group that they single out has {len(group)} clients, by {how}. " if group else "")
        + "Updates change with the model: a difference is its group's update but for that change.",
        change=() if verdict == "pass" else ("refuse cohorts that differ in few clients from an earlier one",),
        figures=(Figure("honest clients in it, at least", honest, "clients", "lower", "span"),),
    )
