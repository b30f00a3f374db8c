"""What must hold between settings: pure functions whose refusals say which one to change, and by how much."""

from __future__ import annotations

from fractions import Fraction
from itertools import count
from math import isqrt

import dp
from securefl.config.chances import at_least
from securefl.config.schema import Config, default_threshold
from securefl.errors import ConfigurationError

__all__ = [
    "check_meaning",
    "validate",
    "warnings",
    "noise_reach",
    "check_population",
    "uploaded_share",
    "abort_probability",
    "least_malicious_threshold",
]

COMPLETE_GRAPH_MAX = 128
"""Largest cohort on a complete mask graph."""
NEGLIGIBLE_SHARE = 1e-3
"""Expected share of single-holder rows that go up, below which a run would teach the model nothing."""
LOW_SHARE = 0.1
"""Expected share of single-holder rows that go up, below which the user is told."""
MAX_RADIUS, MAX_VARIANCE, MAX_SHARE = 2**24, 2**38, 2**31
"""What an agreement on noise, its accounting and one client's draw can hold, in steps of the quantization."""
RISKY_ABORT = 0.01
"""Probability that a round fails, above which the user is told before the work starts."""


def check_meaning(config: Config) -> None:
    """Refuse settings that describe no round at all, safe or not, with one ConfigurationError."""
    n = config.cohort.clients
    for name, value in (("threshold", config.threshold), ("colluders", config.colluders), ("degree", config.degree)):
        if value > n - 1:
            raise ConfigurationError(f"secagg.{name}: {value} of the {n - 1} others cannot be; use at most {n - 1}")
    if config.min_survivors > n:
        raise ConfigurationError(
            f"secagg.min_survivors: {config.min_survivors} of {n} clients cannot be; use {config.threshold + 1} to {n}"
        )
    _check_response(config)
    _check_noise(config)


def validate(config: Config) -> None:
    """Refuse settings that contradict each other or that no run can keep, with one ConfigurationError."""
    check_meaning(config)
    _check_graph(config)
    _check_threshold(config)
    _check_survivors(config)
    _check_ring(config)
    _check_noisy_ring(config)
    _check_row_floor(config)


def _check_graph(config: Config) -> None:
    n = config.cohort.clients
    if n > COMPLETE_GRAPH_MAX:
        raise ConfigurationError(
            f"cohort.clients: {n} clients are too many for one complete mask graph, and shards of a larger "
            f"cohort are not available yet; use at most {COMPLETE_GRAPH_MAX}"
        )
    if config.degree != n - 1:
        raise ConfigurationError(
            f"secagg.degree: {config.degree} neighbours would leave a claimant readable through its lost "
            f"neighbours; a submodel round joins all clients: leave degree out, or use {n - 1}"
        )


def _check_threshold(config: Config) -> None:
    n, t, c = config.cohort.clients, config.threshold, config.colluders
    spare = 1 if config.cohort.dropout else 0
    least, highest = max(2, c + 1), n - 1 - spare
    if highest < least == c + 1:
        fewer = f"use at most {highest - 1}, or " if highest >= 2 else "use "
        raise ConfigurationError(
            f"secagg.colluders: with {c} of {n} clients on the server's side no threshold is safe and still "
            f"reachable; {fewer}cohort.clients={c + 2 + spare} or more"
        )
    if t <= c:
        raise ConfigurationError(
            f"secagg.threshold: {c} colluders could open every secret with {t} shares; use {least} to {highest}"
        )
    if t > highest:
        fewer = f"use {least} to {highest}, or " if highest >= least else "use "
        raise ConfigurationError(
            f"secagg.threshold: {t} shares and oneself make {t + 1} clients that must stay, of {n} with "
            f"{spare} to lose; {fewer}cohort.clients={_clients_for(config, spare)} or more"
        )
    if config.malicious and t < least_malicious_threshold(n, c):
        raise ConfigurationError(
            f"secagg.threshold: a server that lies, with {c} colluders, could open both secrets of a client with {t} "
            f"shares; use {least_malicious_threshold(n, c)} to {highest}"
        )


def least_malicious_threshold(clients: int, colluders: int) -> int:
    """floor((n - 1 + c) / 2) + 1: two lists of survivors cannot both find t signatures of honest clients."""
    return (clients - 1 + colluders) // 2 + 1


def _check_survivors(config: Config) -> None:
    n, spare = config.cohort.clients, 1 if config.cohort.dropout else 0
    if config.min_survivors > n - spare:
        raise ConfigurationError(
            f"secagg.min_survivors: {config.min_survivors} of {n} clients must stay, which leaves none to lose; "
            f"use {config.threshold + 1} to {n - spare}"
        )


def _clients_for(config: Config, spare: int) -> int:
    """The smallest cohort in which the threshold leaves ``spare`` clients to lose."""
    if config.secagg.threshold is not None:
        return config.threshold + 1 + spare
    return next(n for n in count(3) if default_threshold(n) + 1 + spare <= n)


def _check_ring(config: Config) -> None:
    n, bits = config.cohort.clients, config.secagg.ring_bits
    weight, precision = config.weight_max, config.training.quantization_bits
    modulus, levels = 2**bits, 2**precision - 1
    largest = n * weight * levels
    if largest + 1 <= modulus:
        return
    remedies = [f"secagg.ring_bits={largest.bit_length()}"] if largest.bit_length() <= 64 else []
    fewer_bits = ((modulus - 1) // (n * weight) + 1).bit_length() - 1
    remedies += [f"training.quantization_bits={fewer_bits}"] if fewer_bits >= 2 else []
    lighter = (modulus - 1) // (n * levels)
    remedies += [f"training.weight_max={lighter}"] if lighter >= 1 else []
    raise ConfigurationError(
        f"secagg.ring_bits: {bits} bits carry at most {(modulus - 1) // (weight * levels)} clients with "
        f"weights up to {weight} and {precision} quantization bits, not {n}; "
        f"use {' or '.join(remedies) or 'fewer clients'}"
    )


def _check_noise(config: Config) -> None:
    """Noise must be narrow enough to be drawn, and leave strategies what they divide by."""
    if not config.noisy:
        return
    if config.training.strategy == "FedSubAvg":
        raise ConfigurationError(
            "training.strategy: FedSubAvg divides by how many clients hold a row, which a round with noise does not "
            "tell; use SubmodelAvg, FedAvg or FedProx, or privacy.noise_multiplier=0"
        )
    radius, variance, most = config.noise_radius, config.noise_variance, _widest(config)
    if radius < 2:
        raise ConfigurationError(
            f"privacy.clip_radius: {config.privacy.clip_radius:g} is {radius} steps of the quantization; use "
            f"{config.training.scale:g} or more"
        )
    if radius > MAX_RADIUS or variance > most:
        bits = config.training.quantization_bits - _spare_bits(radius, variance, most)
        raise ConfigurationError(
            f"privacy.noise_multiplier: noise of deviation {isqrt(variance)} steps is too wide to be drawn; use "
            + (f"training.quantization_bits={bits}" if bits >= 2 else "a larger training.scale or less noise")
        )


def _check_noisy_ring(config: Config) -> None:
    n, bits, reach = config.cohort.clients, config.secagg.ring_bits, noise_reach(config)
    largest = n * (2**config.training.quantization_bits - 1) + 2 * reach
    if config.noisy and largest >= 2**bits:
        raise ConfigurationError(
            f"secagg.ring_bits: {bits} bits do not carry {n} clients and their noise, up to {reach} steps; use "
            f"secagg.ring_bits={largest.bit_length()} or fewer training.quantization_bits"
        )


def _sure(config: Config) -> int:
    """Honest clients that are sure in the sum of a dense number, or of a row: the fewer of both."""
    return max(1, min(config.privacy.honest_claimants, config.min_survivors - config.colluders))


def noise_reach(config: Config) -> int:
    """Steps that the noise of all clients exceeds on neither side, but with probability 2^-700; 0 without noise."""
    if not config.noisy:
        return 0
    return dp.Skellam(Fraction(config.noise_variance, _sure(config))).times(config.cohort.clients).reach


def _widest(config: Config) -> int:
    """The largest variance of which a client's share, and the shares of all clients together, can be reckoned with."""
    fewest = _sure(config)
    return min(MAX_VARIANCE, MAX_SHARE * fewest, MAX_VARIANCE * fewest // config.cohort.clients)


def _spare_bits(radius: int, variance: int, most: int) -> int:
    """How many bits fewer bring the noise within what can be drawn: each halves the radius and the deviation."""
    return next(bits for bits in count(1) if radius >> bits <= MAX_RADIUS and (variance >> 2 * bits) < most)


def _check_response(config: Config) -> None:
    try:
        _ = config.response
    except ValueError as error:
        raise ConfigurationError(
            f"privacy.response: {config.privacy.response!r} is no randomized response: {error}"
        ) from None
    response = config.response
    for high, low in (("p1", "p2"), ("p3", "p4")):
        p, q = getattr(response, high), getattr(response, low)
        if p < q:
            raise ConfigurationError(
                f"privacy.response: {high}={p} is below {low}={q}, so that absence would claim more than presence; "
                f"use {high} from {q} to 1"
            )


def _check_row_floor(config: Config) -> None:
    n = config.cohort.clients
    floor = config.row_floor_of(n)
    if floor > n:
        m, c = config.privacy.honest_claimants, config.colluders
        which = "that a server could invent" if config.malicious else "whose noise could be lost"
        invented = f" and {floor - m - c} {which}" if config.losses_count else ""
        raise ConfigurationError(
            f"privacy.honest_claimants: {m} honest claimants and {c} colluders{invented} "
            f"make a row floor of {floor}, which {n} clients never reach; {_lower_floor(config, n)}"
        )
    if _claims_everything_held(config):
        return  # popular rows still go up: `warnings` says so
    share = uploaded_share(config)
    if share < NEGLIGIBLE_SHARE:
        remedy = _lower_floor(config, _reachable_floor(config))
        raise ConfigurationError(
            f"privacy.honest_claimants: a row floor of {floor} leaves nearly every row out "
            f"(a row that one client holds goes up with probability {share:.1g}); {remedy}"
        )


def _lower_floor(config: Config, floor: int) -> str:
    n = config.cohort.clients
    invented = config.row_floor_of(n) - config.row_floor
    if invented and floor >= config.row_floor:
        return f"use secagg.min_survivors={n - floor + config.row_floor} or more: fewer can then be declared lost"
    m = floor - config.colluders - invented
    if m >= 1:
        return f"use at most {m}, or more clients"
    return f"use honest_claimants=1 and secagg.colluders={max(0, floor - 1)} at most, or more clients"


def _reachable_floor(config: Config) -> int:
    floors = range(config.row_floor_of(config.cohort.clients), 0, -1)
    return next((floor for floor in floors if _share(config, floor) >= NEGLIGIBLE_SHARE), 1)


def _claims_everything_held(config: Config) -> bool:
    """Held rows are claimed, others never: only rows that many clients hold reach the floor."""
    return not config.response.q0


def uploaded_share(config: Config) -> float:
    """Probability that a row of the union which exactly one client holds reaches the row floor; nobody is lost."""
    return _share(config, config.row_floor_of(config.cohort.clients))


def _share(config: Config, floor: int) -> float:
    q1, q0 = float(config.response.q1), float(config.response.q0)
    others = config.cohort.clients - 1
    return q1 * at_least(others, q0, floor - 1) + (1 - q1) * at_least(others, q0, floor)


def abort_probability(config: Config) -> float:
    """Probability that fewer than t + 1 clients are left at the end of a round."""
    n = config.cohort.clients
    return at_least(n, config.cohort.dropout, n - config.min_survivors + 1)


def warnings(config: Config) -> list[str]:
    """What a valid configuration should still tell its user, one sentence each. Needs ``validate`` first."""
    found, floor = [], config.row_floor_of(config.cohort.clients)
    if _claims_everything_held(config):
        found.append(f"privacy.response: claims tell the truth, and only rows that at least {floor} clients hold go up")
    elif (share := uploaded_share(config)) < LOW_SHARE:
        found.append(
            f"privacy.honest_claimants: a row that one client holds reaches the floor of {floor} "
            f"with probability {share:.2g}; lower honest_claimants or invite more clients"
        )
    if config.row_floor == 1:
        found.append("privacy.honest_claimants: with a row floor of 1, a row that one client claims is its update")
    if (abort := abort_probability(config)) > RISKY_ABORT:
        found.append(
            f"cohort.dropout: a round fails with probability {abort:.2g}, because {config.min_survivors} of "
            f"{config.cohort.clients} clients must stay; lower cohort.dropout, secagg.threshold or min_survivors"
        )
    return found


def check_population(config: Config, users: int) -> None:
    """Refuse a cohort larger than the users of the data. Raises ConfigurationError."""
    if config.cohort.clients > users:
        raise ConfigurationError(
            f"cohort.clients: {config.cohort.clients} clients, but the data has only {users} users; use at most {users}"
        )
