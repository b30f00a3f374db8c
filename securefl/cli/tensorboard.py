"""The curves of a run for TensorBoard, if tensorboardX is installed (extra ``tensorboard``)."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from securefl.errors import ConfigurationError
from securefl.federation.progress import Silent

if TYPE_CHECKING:
    from types import TracebackType

    from securefl.federation.records import RoundRecord

__all__ = ["TensorBoard"]


class TensorBoard(Silent):
    """A ``Progress`` that writes event files; they appear with the first round. A resumed run hides what it redoes."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._writer = folder, None

    @staticmethod
    def installed() -> bool:
        """Whether there is anything to write with."""
        return find_spec("tensorboardX") is not None

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            with suppress(OSError):  # of a full disk, that a sentence was said about
                self._writer.close()

    def round_finished(self, record: RoundRecord) -> None:
        """One point of every curve that has one. Raises ConfigurationError if the disk is full."""
        try:
            writer = self._open(record.round)
            for name, value in _curves(record).items():
                if value is not None:
                    writer.add_scalar(name, value, record.round)
            writer.flush()
        except OSError as error:
            raise ConfigurationError(
                f"{self._folder} cannot be written: {error.strerror}; the last checkpoint is untouched: make room and "
                "run the same command again"
            ) from None

    def _open(self, number: int) -> Any:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=number)
        return self._writer


def _curves(record: RoundRecord) -> dict[str, float | None]:
    return {
        "model/auc": record.auc,
        "model/loss": record.loss,
        "bytes/up": record.bytes_up_per_client,
        "bytes/down": record.bytes_down_per_client,
        "round/finishers": record.finishers,
        "round/union": record.union_size,
        "round/seconds": sum(record.seconds.values()),
        "privacy/epsilon_claims": record.epsilon_claims_spent,
        "privacy/epsilon_sums": record.epsilon_sums_spent,
    }
