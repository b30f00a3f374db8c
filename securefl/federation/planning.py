"""From a configuration and a population to what a round agrees on in public."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

import psu
from securefl.config import Config, Training
from securefl.datasets import ClickLog
from securefl.errors import ConfigurationError
from securefl.models import DIN, ClickModel, LogisticRegression
from securefl.models.interface import Model, TableSpec
from securefl.secagg import Params, Segment, Sum
from securefl.secagg.sizes import plain_session
from securefl.submodel import Quantization, SubmodelPlan, Table, UpdateNoise, map_hash

CLAIM_BYTES = 2
"""Bytes of an index in the announced union and of its place in a claim, about."""
HALF_FLOAT_BYTES = 2


def click_model(training: Training, category: NDArray[np.int64], categories: int) -> ClickModel:
    """The model of a run, not yet initialized. `category`: the public map from item to category."""
    kinds = {"din": (DIN, training.dim), "logistic": (LogisticRegression, LogisticRegression.width)}
    kind, width = kinds[training.model]
    return kind(
        category,
        categories,
        width=width,
        history=training.history,
        embedding_rate=training.embedding_rate,
        gradient_norm=training.clip,
        proximal=training.proximal if training.strategy == "FedProx" else 0.0,
    )


def round_plan(
    config: Config, model: Model, maps: Mapping[str, NDArray[np.int64]], union: psu.UnionPlan
) -> SubmodelPlan:
    """The plan of every round of a run. `maps`: the public map of each table after the first."""
    response, training = config.response, config.training
    how = Quantization(training.quantization_bits, training.scale, config.weight_max)
    return SubmodelPlan(
        union=union.to_bytes(),
        response=(str(response.p1), str(response.p2), str(response.p3), str(response.p4)),
        tables=tuple(
            Table(t.name, t.rows, t.width, map_hash(maps[t.name]) if t.name in maps else b"") for t in model.tables
        ),
        dense=model.dense_size,
        row_floor=config.row_floor,
        ring_bits=config.secagg.ring_bits,
        row_quantization=how,
        dense_quantization=how,
        training=tuple((name, str(value)) for name, value in msgspec.to_builtins(training).items()),
        noise=UpdateNoise(config.noise_radius, config.noise_variance) if config.noisy else None,
    )


def round_params(config: Config, plan: SubmodelPlan) -> Params:
    """The session parameters of every round of a run."""
    return plan.params(
        clients=config.cohort.clients,
        threshold=config.threshold,
        colluders=config.colluders,
        kem=config.secagg.kem,
        setting=config.secagg.setting,
        min_survivors=config.min_survivors,
    )


def expected_union(config: Config, log: ClickLog, generator: np.random.Generator) -> int:
    """The configured size of a cohort's union, or the largest of a few cohorts drawn for the purpose and a tenth more.

    A server that knows no index set would take this from a past round. More than expected costs false positives.
    """
    if config.union.expected is not None:
        return config.union.expected
    cohorts = (generator.choice(log.users, config.cohort.clients, replace=False) for _ in range(5))
    unions = (np.unique(np.concatenate([log.index_set(user) for user in cohort])) for cohort in cohorts)
    return max(1, *(union.size * 11 // 10 for union in unions))


def full_model_bytes(params: Params, model: Model, ring_bits: int) -> int:
    """Up + down of one client in one secure round over the whole shared model: one dense sum, same keys and cohort."""
    size = model.dense_size + sum(t.rows * t.width for t in model.tables)
    whole = Sum("update", (Segment("model", ring_bits, size + 1),))
    return plain_session(msgspec.structs.replace(params, sums=(whole,))).total + size * HALF_FLOAT_BYTES


def union_plan(config: Config, table: TableSpec, expected: int) -> psu.UnionPlan:
    """The cheapest encoding of the union over the rows of `table`. Raises ConfigurationError."""
    claimed = float(config.response.q0)
    row_bytes = table.width * HALF_FLOAT_BYTES + (table.width + 1) * config.secagg.ring_bits / 8
    try:
        return psu.plan_union(
            table.rows,
            min(expected, table.rows),
            clients=config.cohort.clients,
            false_positive_rate=config.union.false_positive_rate,
            loss_target=config.union.loss_rate,
            bytes_per_index=CLAIM_BYTES + claimed * row_bytes,
            bits=config.union.bits,
        )
    except psu.PlanError as error:
        raise ConfigurationError(f"union: {error}") from None
