"""Images from files, and their sharing among clients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.datasets.images import load_images, one_class_each
from securefl.errors import ConfigurationError


@given(classes=st.integers(1, 4), seed=st.integers(0, 99), more=st.integers(0, 9))
def test_every_sample_goes_to_one_client_of_its_class(classes: int, seed: int, more: int) -> None:
    draw = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), draw.integers(0, classes, 60)])
    sizes = draw.uniform(1, 3, classes + more)
    parts = one_class_each(labels, sizes, draw)
    assert sorted(np.concatenate(parts).tolist()) == list(range(labels.size))
    for client, part in enumerate(parts):
        assert (labels[part] == client % classes).all()


def test_shares_are_in_proportion() -> None:
    parts = one_class_each(np.zeros(100, int), np.array([1.0, 3.0]), np.random.default_rng(0))
    assert [part.size for part in parts] == [25, 75]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"\x93NUMPY"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images.npz"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="images "):
        load_images(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ConfigurationError, match="images "):
        load_images(tmp_path / "other.npz")


@pytest.mark.needs("data")
def test_mnist(data_folder: Path) -> None:
    images = load_images(data_folder / "mnist" / "mnist.npz")
    assert images.train.shape == (60000, 28, 28)
    assert np.bincount(images.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert images.classes == 10


@pytest.mark.needs("data", "PIL")
@pytest.mark.slow
def test_cifar(data_folder: Path) -> None:
    images = load_images(data_folder / "cifar10" / "cifar10_jpegpack.npz")
    assert images.train.shape == (50000, 32, 32, 3)
    assert np.bincount(images.train_labels).tolist() == [5000] * 10
    assert images.train.mean(axis=(0, 1, 2)) / 255 == pytest.approx([0.4913, 0.4821, 0.4465], abs=2e-4)
