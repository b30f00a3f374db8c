"""Labelled images, and how a population of clients shares them."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

__all__ = ["Images", "load_images", "one_class_each"]

DAMAGED = (
    *(OSError, ValueError, LookupError, EOFError, TypeError, OverflowError, MemoryError, SyntaxError),
    *(RuntimeError, BadZipFile, zlib.error, struct.error),  # of zip archives; NotImplementedError is a RuntimeError
)
"""What numpy, zipfile and Pillow raise for files that they cannot read."""


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Training and test images: uint8 (n, height, width) or (n, height, width, 3), labels int64 (n,)."""

    train: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test: NDArray[np.uint8]
    test_labels: NDArray[np.int64]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1


def load_images(path: str | Path) -> Images:
    """From an .npz of x_train, y_train, x_test and y_test, or of JPEG files end to end (`blob`, `offset`, ...).

    The second kind needs Pillow. Raises ConfigurationError.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if "blob" in arrays:
                return _checked(_decoded(arrays))
            labels = (arrays[name].astype(np.int64) for name in ("y_train", "y_test"))
            return _checked(Images(arrays["x_train"], next(labels), arrays["x_test"], next(labels)))
    except DAMAGED as error:
        raise ConfigurationError(f"images {path}: {error}") from None


def one_class_each(
    labels: NDArray[np.integer], sizes: NDArray[np.floating], generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Samples of each client: client i has class i mod classes only, and of it a part in proportion to its size.

    sizes: (clients,), positive. Returns for each client the positions of its samples, every sample given once.
    """
    classes = int(labels.max()) + 1
    parts: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * sizes.size
    for one in range(classes):
        samples = generator.permutation(np.flatnonzero(labels == one))
        members = np.arange(one, sizes.size, classes)
        ends = np.rint(np.cumsum(sizes[members]) / sizes[members].sum() * samples.size).astype(np.int64)
        for member, part in zip(members, np.split(samples, ends[:-1]), strict=True):
            parts[member] = part
    return parts


def _decoded(arrays: np.lib.npyio.NpzFile) -> Images:
    from PIL import Image

    blob, offset, split = arrays["blob"].tobytes(), arrays["offset"], arrays["split"]
    try:
        pixels = [np.asarray(Image.open(io.BytesIO(blob[a:b]))) for a, b in pairwise(offset)]
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
    stacked, labels = np.stack(pixels), arrays["label"].astype(np.int64)
    return Images(stacked[split == 0], labels[split == 0], stacked[split == 1], labels[split == 1])


def _checked(images: Images) -> Images:
    """The images, if they are what `Images` says; else ValueError."""
    for pixels, labels in ((images.train, images.train_labels), (images.test, images.test_labels)):
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or labels.shape != pixels.shape[:1] or not labels.size:
            raise ValueError("images are uint8, (n, height, width) or (n, height, width, 3), with a label each")
        if labels.min() < 0:
            raise ValueError("a label is negative")
    return images
