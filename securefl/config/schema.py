"""The settings: one frozen section per concern. Ranges are in the types, the rest is in ``checks``."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from dp import TwoStage
from securefl.config.chances import usual_survivors

__all__ = ["Config", "Data", "Cohort", "Availability", "SecAgg", "Union", "Privacy", "Training", "Run"]

Count = Annotated[int, Meta(ge=1)]
Tally = Annotated[int, Meta(ge=0)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Probability = Annotated[float, Meta(gt=0, lt=1)]
Positive = Annotated[float, Meta(gt=0, le=1e6)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every section has in common: frozen, named arguments only, unknown names refused."""


class Data(Section, frozen=True, kw_only=True):
    """The click log: a file, or the synthetic one when there is no file."""

    path: str | None = None
    """A click log (.csv, .npz); None = ``generator``."""
    generator: Literal["small", "taobao"] = "small"
    """Size and shape of the synthetic log."""


class Cohort(Section, frozen=True, kw_only=True):
    """Who takes part, how often, and who gets lost."""

    clients: Annotated[int, Meta(ge=3)] = 100
    """Clients invited to a round, n."""
    rounds: Count = 5
    dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    """Probability that an invited client is lost before the end of a round."""
    seed: Seed | None = None
    """Repeats a simulation: claims, blinding, rounding, cohorts, losses come from it; keys and masks never.

    Such a run is not private. None = the operating system's randomness.
    """
    selection: Literal["random", "longest_out"] = "random"
    """Who of the available is invited: anybody, or those who have been out for the most rounds (FedLaAvg)."""


class Availability(Section, frozen=True, kw_only=True):
    """Who could take part in a round. A round for which too few are there is not begun."""

    kind: Literal["always", "diurnal", "alternating", "trace"] = "always"
    """Everybody; by the time of day; groups that take turns; or as a file has it."""
    period: Count = 24
    """Diurnal: rounds of a day. Every client's own time in it is drawn once."""
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """Diurnal: part of the day for which a client is there."""
    spans: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=64)] = (10, 10)
    """Alternating: rounds of each group's turn. Clients are dealt to the groups in turn."""
    trace: str | None = None
    """Trace: a text file with a line for each round, in it 1 or 0 for each client."""


class SecAgg(Section, frozen=True, kw_only=True):
    """Masked sums (docs: protocol, sections 1 and 2)."""

    setting: Literal["semi_honest", "malicious"] = "semi_honest"
    """What the server may do: follow the protocol and look at all it receives, or lie to clients as well."""
    kem: Literal["x25519-mlkem768", "x25519"] = "x25519-mlkem768"
    """HPKE suite of the channel keys. The hybrid one outlives X25519, for about 0.4 MB a round at n = 100."""
    threshold: Annotated[int, Meta(ge=2)] | None = None
    """Shares that open a secret, t; t + 1 clients must stay. None = floor(2 (n - 1) / 3) + 1. One share would be the
    secret itself."""
    min_survivors: Count | None = None
    """Clients that must stay, t + 1 or more. In the malicious setting each one fewer raises the row floor by one.

    None = t + 1; malicious or with noise: as many as stay in 99 of 100 rounds, if that is more.
    """
    colluders: Tally | None = None
    """Clients of the cohort assumed to work with the server, c. None = n // 20."""
    ring_bits: Annotated[int, Meta(ge=8, le=64)] = 32
    """Sums of updates are taken modulo 2**ring_bits."""
    degree: Count | None = None
    """Neighbours of a client in the mask graph. None = all n - 1; a submodel round allows nothing else."""


class Union(Section, frozen=True, kw_only=True):
    """Private set union (docs: protocol, section 3)."""

    expected: Count | None = None
    """Indices expected in the union of a cohort; None = estimated from the data."""
    false_positive_rate: Probability = 0.01
    """Of a Bloom filter, when the plan picks one."""
    loss_rate: Probability = 0.004
    """Largest accepted probability that a round misses an index of the union; it comes back the next time."""
    bits: Annotated[int, Meta(ge=2, le=32)] | None = None
    """Bits of a cell; None = the fewest that keep ``loss_rate``."""


class Privacy(Section, frozen=True, kw_only=True):
    """Deniable claims and the row floor (docs: protocol, sections 4 and 5)."""

    response: str = "7/8"
    """Two-stage randomized response: 15/16, 7/8, 3/4, none, union, or p1,p2,p3,p4."""
    honest_claimants: Count = 5
    """Honest clients that must claim a row before it goes up, m. The row floor is m + c."""
    noise_multiplier: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    """Deviation of the noise in every opened sum of updates, over `clip_radius`; 0 = the sums are exact.

    With noise every client counts the same, and rows that losses could leave with fewer than m honest claimants stay
    out in either setting.
    """
    clip_radius: Positive = 1.0
    """With noise: a client's whole update is cut to this L2 norm."""
    delta: Probability = 1e-6
    """With noise: the probability that epsilon leaves out."""


class Training(Section, frozen=True, kw_only=True):
    """The model, what a client does with it, and how an update becomes integers."""

    model: Literal["din", "logistic"] = "din"
    """Deep Interest Network, or logistic regression."""
    strategy: Literal["SubmodelAvg", "FedAvg", "FedProx", "FedSubAvg"] = "SubmodelAvg"
    """How per-row sums and counts change the model."""
    proximal: Positive = 1.0
    """FedProx: weight mu of the pull that holds a client near the model it started from."""
    dim: Annotated[int, Meta(ge=1, le=1024)] = 18
    """Length of an embedding row of ``din``; ``logistic`` has rows of two weights."""
    learning_rate: Positive = 0.1
    decay: Annotated[float, Meta(gt=0, le=1)] = 0.999
    """The learning rate is multiplied by this after every round."""
    epochs: Annotated[int, Meta(ge=1, le=1000)] = 1
    """Passes of a client over its samples in a round."""
    batch: Count = 4
    embedding_rate: Positive = 100.0
    """Embedding rows and user embeddings step this many times farther than dense parameters: few samples move them."""
    clip: Positive = 1.0
    """Bound on the L2 norm of the gradient of one step."""
    scale: Positive = 0.1
    """Each coordinate of an update is cut to [-scale, scale] before it is rounded."""
    quantization_bits: Annotated[int, Meta(ge=2, le=32)] = 16
    """Rounding is stochastic, to 2**quantization_bits levels."""
    weight_max: Annotated[int, Meta(ge=1, le=2**20)] = 512
    """Most samples that count in the weight of one client."""
    history: Annotated[int, Meta(ge=1, le=1000)] = 100
    """Items of a click history that the model looks at, the latest first."""


class Run(Section, frozen=True, kw_only=True):
    """How a long run is looked after."""

    evaluate_every: Count = 1
    """The model is judged after every so many rounds, and after the last."""
    checkpoint_every: Count = 10
    """A killed run loses at most so many rounds."""


def default_threshold(clients: int) -> int:
    """Two thirds of the n - 1 others, and one: floor(2 (n - 1) / 3) + 1."""
    return 2 * (clients - 1) // 3 + 1


class Config(Section, frozen=True, kw_only=True):
    """Everything a run needs. The properties resolve what was left to its default."""

    data: Data = Data()
    cohort: Cohort = Cohort()
    availability: Availability = Availability()
    secagg: SecAgg = SecAgg()
    union: Union = Union()
    privacy: Privacy = Privacy()
    training: Training = Training()
    run: Run = Run()

    @property
    def threshold(self) -> int:
        """Shares that open a secret, t."""
        return self.secagg.threshold or default_threshold(self.cohort.clients)

    @property
    def malicious(self) -> bool:
        """Whether the server is assumed to lie."""
        return self.secagg.setting == "malicious"

    @property
    def noisy(self) -> bool:
        """Whether sums of updates carry noise."""
        return self.privacy.noise_multiplier > 0

    @property
    def losses_count(self) -> bool:
        """Whether the row floor covers every client that may be lost: for who may be invented, or takes noise along."""
        return self.malicious or self.noisy

    @property
    def weight_max(self) -> int:
        """Most samples that count in the weight of one client; 1 in rounds with noise."""
        return 1 if self.noisy else self.training.weight_max

    @property
    def noise_radius(self) -> int:
        """`clip_radius` in steps of the quantization, rounded down."""
        levels, privacy = 2 ** (self.training.quantization_bits - 1) - 1, self.privacy
        return int(Fraction(str(privacy.clip_radius)) * levels / Fraction(str(self.training.scale)))

    @property
    def noise_variance(self) -> int:
        """Of every opened number at least, in steps squared, rounded up."""
        return ceil((Fraction(str(self.privacy.noise_multiplier)) * self.noise_radius) ** 2)

    @property
    def min_survivors(self) -> int:
        """Clients that must answer: nobody holds a share of itself, so t + 1 or more."""
        if self.secagg.min_survivors is not None:
            return max(self.threshold + 1, self.secagg.min_survivors)
        n, stay = self.cohort.clients, 1 - self.cohort.dropout
        return max(self.threshold + 1, usual_survivors(n, stay) if self.losses_count else 0)

    @property
    def colluders(self) -> int:
        """Clients of the cohort assumed to work with the server, c."""
        return self.cohort.clients // 20 if self.secagg.colluders is None else self.secagg.colluders

    @property
    def degree(self) -> int:
        """Neighbours of a client in the mask graph, k."""
        return self.cohort.clients - 1 if self.secagg.degree is None else self.secagg.degree

    @property
    def row_floor(self) -> int:
        """Claimants wanted in every sum of a row, m + c."""
        return self.privacy.honest_claimants + self.colluders

    def row_floor_of(self, live: int) -> int:
        """Claimants below which a row is left out of the upload, m + c + L, when `live` clients sent a claim.

        L, in the malicious setting: how many invented claimants the server could declare lost; with noise, how many
        shares of it can be lost.
        """
        return self.row_floor + (max(0, live - self.min_survivors) if self.losses_count else 0)

    @property
    def response(self) -> TwoStage:
        """The claims' randomized response, with exact probabilities. Raises ValueError if it is none."""
        return TwoStage.parse(self.privacy.response)

    def settings(self) -> dict[str, dict[str, Any]]:
        """Every setting by section, defaults resolved, plain values: the ``settings`` of a ``RunSummary``."""
        table: dict[str, dict[str, Any]] = msgspec.to_builtins(self)
        table["availability"]["spans"] = list(self.availability.spans)  # what JSON gives back
        table["secagg"] |= {
            "threshold": self.threshold,
            "min_survivors": self.min_survivors,
            "colluders": self.colluders,
            "degree": self.degree,
        }
        table["privacy"]["row_floor"] = self.row_floor_of(self.cohort.clients)
        return table
