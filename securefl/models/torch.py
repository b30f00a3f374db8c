"""Any torch module with `nn.Embedding` tables as a `Model`: it trains on the rows a client holds, whatever it computes.

A client's rows take the place of the whole tables while the module runs, and positions among these rows the place of
indices. All other parameters, and the floating buffers (running statistics), are the dense vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

from .batches import Batch, by_length, localize, pad, trainable
from .clickmodel import PREDICT_BATCH, check_plan
from .descent import shuffled
from .embedding import Involved
from .interface import ClientPart, LocalUpdate, RowUpdate, SamplesLike, TableSlice, TableSpec, Weights

try:
    import torch
    from torch import Tensor, nn
    from torch.func import functional_call
    from torch.nn.functional import binary_cross_entropy_with_logits
except ImportError as missing:
    raise ConfigurationError("torch is not installed; install the extra: pip install '.[torch]'") from missing

__all__ = ["Inputs", "TorchModel"]


class Inputs(NamedTuple):
    """What a module's `forward` is given for B samples: positions to look up in its embeddings, by table."""

    targets: Mapping[str, Tensor]
    """int64 (B,): the item shown, and what goes with it in the other tables."""
    history: Mapping[str, Tensor]
    """int64 (B, L): earlier clicks, padded with position 0."""
    mask: Tensor
    """bool (B, L): false where padded."""
    user: Tensor
    """float32 (B, d): the private user embedding."""


Loss = Callable[[Tensor, Tensor], Tensor]
"""Of logits (B,) and labels, float32 (B,): the mean loss."""


@dataclass(frozen=True, eq=False)
class TorchModel:
    """A module whose `forward(Inputs)` gives logits (B,), for the engines.

    ``embeddings`` names the module's `nn.Embedding` of each table, "items" first; ``maps`` gives for each further
    table its row of each item, int64 (items,). Raises ConfigurationError for a module that cannot train in parts.
    """

    module: nn.Module
    embeddings: Mapping[str, str]
    maps: Mapping[str, NDArray[np.int64]]
    user_width: int = 1
    history: int = 100
    """At most so many items of a history are looked at, the latest ones."""
    embedding_rate: float = 100.0
    """Rows and user embeddings step this many times farther than dense parameters."""
    gradient_norm: float = 1.0
    """The gradient of a step is scaled down to this Euclidean norm."""
    proximal: float = 0.0
    """FedProx's mu, as in `ClickModel`."""
    loss: Loss = binary_cross_entropy_with_logits

    def __post_init__(self) -> None:
        if next(iter(self.embeddings), None) != "items" or self.embeddings.keys() - {"items"} != self.maps.keys():
            raise ConfigurationError("`embeddings` must begin with items, and `maps` hold one map for each other table")
        for table, name in self.embeddings.items():
            layer = dict(self.module.named_modules()).get(name)
            if not isinstance(layer, nn.Embedding):
                raise ConfigurationError(f"table {table!r}: the module has no nn.Embedding called {name!r}")
            if layer.padding_idx is not None or layer.max_norm is not None or layer.sparse:
                raise ConfigurationError(
                    f"table {table!r}: an nn.Embedding with padding_idx, max_norm or sparse cannot train on some of "
                    "its rows; leave them out and use `Inputs.mask`"
                )
        if not self._dense:
            raise ConfigurationError("the module has nothing but tables; give it at least a bias")

    @property
    def tables(self) -> tuple[TableSpec, ...]:
        """One for each named embedding."""
        weights = {table: self.module.get_parameter(f"{name}.weight") for table, name in self.embeddings.items()}
        return tuple(TableSpec(table, *map(int, weight.shape)) for table, weight in weights.items())

    @property
    def dense_size(self) -> int:
        """D: numbers in all other parameters and floating buffers."""
        return sum(value.numel() for value in self._dense.values())

    def init(self, rng_seed: int) -> Weights:
        """Fresh weights: every layer that can `reset_parameters` does, from the seed; the rest is as it was given."""
        fresh = deepcopy(self.module)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(rng_seed % 2**63)
            for layer in fresh.modules():
                reset: Any = getattr(layer, "reset_parameters", None)
                if callable(reset):
                    reset()
        state = fresh.state_dict()
        dense = torch.cat([state[name].reshape(-1) for name in self._dense]).float().numpy()
        return Weights(dense, {table: state[f"{name}.weight"].numpy() for table, name in self.embeddings.items()})

    def init_user(self) -> NDArray[np.float32]:
        """Zeros (d,)."""
        return np.zeros(self.user_width, np.float32)

    def rows_of(self, items: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """See `Model`."""
        items = np.unique(items)
        return {"items": items} | {table: np.unique(rows[items]) for table, rows in self.maps.items()}

    def train_local(
        self,
        dense: NDArray[np.float32],
        tables_sub: dict[str, TableSlice],
        samples: SamplesLike,
        user_embedding: NDArray[np.float32],
        *,
        epochs: int,
        batch: int,
        learning_rate: float,
        seed: int,
    ) -> LocalUpdate:
        """See `DIN.train_local`: the same samples, batches and steps, with autograd's gradients."""
        check_plan(epochs, batch, learning_rate)
        kept = trainable(localize(samples, tables_sub["items"], self.history))
        places, state = self._places(tables_sub), self._state(dense, tables_sub)
        start = {name: value.detach().clone() for name, value in state.items() if value.requires_grad and self.proximal}
        user = torch.tensor(user_embedding, dtype=torch.float32, requires_grad=True)
        loss, rng = 0.0, np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed % 2**63)
            for _ in range(epochs if len(kept) else 0):
                parts = [pad(kept, which[0]) for which in shuffled([len(kept)], batch, [rng])]
                total = 0.0
                for part in parts:
                    total += len(part.targets) * self._step(state, user, part, places, learning_rate)
                    self._pull(state, start, learning_rate)
                loss = total / len(kept)
        after = {name: value.detach().numpy() for name, value in state.items()}
        ends = np.concatenate([after[name].reshape(-1) for name in self._dense])
        if not all(np.isfinite(part).all() for part in (ends, *after.values())):
            raise _diverged(learning_rate)
        involved = Involved.in_batch(pad(kept))
        rows = {
            table: _row_update(involved, places[table], tables_sub[table], after[f"{name}.weight"])
            for table, name in self.embeddings.items()
        }
        return LocalUpdate(ends - dense, rows, len(kept), loss, user.detach().numpy())

    def train_cohort(
        self,
        dense: NDArray[np.float32],
        clients: Sequence[ClientPart],
        *,
        epochs: int,
        batch: int,
        learning_rate: float,
    ) -> list[LocalUpdate]:
        """One client after another."""
        plan: dict[str, Any] = {"epochs": epochs, "batch": batch, "learning_rate": learning_rate}
        return [self.train_local(dense, c.tables, c.samples, c.user_embedding, **plan, seed=c.seed) for c in clients]

    def predict(
        self,
        dense: NDArray[np.float32],
        tables_sub: dict[str, TableSlice],
        samples: SamplesLike,
        user_embedding: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """See `DIN.predict`. The module is in evaluation mode."""
        local = localize(samples, tables_sub["items"], self.history)
        if (local.targets < 0).any():
            raise ConfigurationError("a target has no row in the submodel; predict only on items that were claimed")
        places, state = self._places(tables_sub), self._state(dense, tables_sub)
        users = np.broadcast_to(user_embedding, (len(local), self.user_width))
        chance = np.empty(len(local), np.float32)
        with torch.no_grad():
            for which, batch in by_length(local, PREDICT_BATCH):
                inputs = _inputs(batch, places, torch.tensor(users[which]))
                chance[which] = torch.sigmoid(self._logits(state, inputs, training=False)).numpy()
        return chance

    @property
    def _dense(self) -> dict[str, Tensor]:
        """Parameters and floating buffers that are in no table, by name, in the order of the flat vector."""
        tables = {f"{name}.weight" for name in self.embeddings.values()}
        return {k: v for k, v in self.module.state_dict().items() if k not in tables and v.is_floating_point()}

    def _state(self, dense: NDArray[np.float32], tables_sub: dict[str, TableSlice]) -> dict[str, Tensor]:
        """What the module runs on: copies of the dense parts, and of the client's rows in place of the tables."""
        if dense.shape != (self.dense_size,):
            raise ConfigurationError(f"dense parameters have shape {dense.shape}, not ({self.dense_size},)")
        for spec in self.tables:
            if tables_sub[spec.name].rows.shape[1] != spec.width:
                raise ConfigurationError(f"rows of table {spec.name!r} must be {spec.width} wide")
        learned = dict(self.module.named_parameters())
        parts = torch.split(torch.tensor(dense), [value.numel() for value in self._dense.values()])
        state = {
            name: part.reshape(like.shape).clone().requires_grad_(name in learned)
            for part, (name, like) in zip(parts, self._dense.items(), strict=True)
        }
        for table, name in self.embeddings.items():
            state[f"{name}.weight"] = torch.tensor(tables_sub[table].rows, requires_grad=True)
        return state

    def _places(self, tables_sub: dict[str, TableSlice]) -> dict[str, NDArray[np.int64]]:
        """By table: the position of the row that goes with each of the client's items, (R,)."""
        items = tables_sub["items"].indices
        places = {"items": np.arange(len(items))}
        places |= {table: tables_sub[table].locate(rows[items]) for table, rows in self.maps.items()}
        if any((at < 0).any() for at in places.values()):
            raise ConfigurationError("the submodel lacks rows that go with its items; claim all that `rows_of` names")
        return places

    def _logits(self, state: dict[str, Tensor], inputs: Inputs, *, training: bool) -> Tensor:
        self.module.train(training)
        logits: Tensor = functional_call(self.module, state, (inputs,))
        if logits.shape != inputs.mask.shape[:1]:
            raise ConfigurationError(f"the module gives logits of shape {tuple(logits.shape)}; one a sample is wanted")
        return logits

    def _step(
        self, state: dict[str, Tensor], user: Tensor, batch: Batch, places: Mapping[str, NDArray[np.int64]], rate: float
    ) -> float:
        """One step, in place; the loss before it."""
        inputs = _inputs(batch, places, user.expand(len(batch.targets), -1))
        loss = self.loss(self._logits(state, inputs, training=True), torch.tensor(batch.labels, dtype=torch.float32))
        learned = {name: value for name, value in state.items() if value.requires_grad} | {"": user}
        found = torch.autograd.grad(loss, list(learned.values()), allow_unused=True)
        gradients = {name: d for name, d in zip(learned, found, strict=True) if d is not None}
        norm, before = sum(float(d.square().sum()) for d in gradients.values()) ** 0.5, float(loss.detach())
        if not np.isfinite(before + norm):
            raise _diverged(rate)
        rate *= self.gradient_norm / max(norm, self.gradient_norm)
        far = {f"{name}.weight" for name in self.embeddings.values()} | {""}
        with torch.no_grad():
            for name, d in gradients.items():
                learned[name] -= rate * (self.embedding_rate if name in far else 1.0) * d
        return before

    def _pull(self, state: dict[str, Tensor], start: Mapping[str, Tensor], rate: float) -> None:
        """See `Descent.pull`."""
        far = {f"{name}.weight" for name in self.embeddings.values()}
        with torch.no_grad():
            for name, origin in start.items():
                weight = rate * self.proximal * (self.embedding_rate if name in far else 1.0)
                state[name] -= weight / (1 + weight) * (state[name] - origin)


def _diverged(rate: float) -> ConfigurationError:
    return ConfigurationError(f"local training diverged at learning rate {rate:g}; lower it")


def _inputs(batch: Batch, places: Mapping[str, NDArray[np.int64]], users: Tensor) -> Inputs:
    targets = {table: torch.from_numpy(at[batch.targets]) for table, at in places.items()}
    history = {table: torch.from_numpy(at[batch.history]) for table, at in places.items()}
    return Inputs(targets, history, torch.from_numpy(batch.mask), users)


def _row_update(
    involved: Involved, places: NDArray[np.int64], before: TableSlice, after: NDArray[np.float32]
) -> RowUpdate:
    """Only the rows that a sample involves; whatever else the module did to a row stays on the device."""
    used, counts = involved.counts(places) if len(involved.position) else (np.zeros(0, np.int64),) * 2
    return RowUpdate(before.indices[used], after[used] - before.rows[used], counts)
