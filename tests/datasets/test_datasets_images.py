"""Images from files, and their sharing among clients."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
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


def saved(save: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


PIXELS = (np.arange(48) * 5).astype(np.uint8).reshape(4, 4, 3)
GOOD = {"x_train": PIXELS, "y_train": np.arange(4), "x_test": PIXELS[:2], "y_test": np.arange(2)}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False), save=st.sampled_from([np.savez, np.savez_compressed]))
def test_e3_a_damaged_archive_is_images_or_refused(tmp_path: Path, random: Any, save: Any) -> None:
    content, path = bytearray(saved(save, **GOOD)), tmp_path / "images.npz"
    for _ in range(random.randint(1, 4)):
        content[random.randrange(len(content))] = random.randrange(256)
    path.write_bytes(content[: random.choice([len(content)] * 4 + [random.randrange(len(content))])])
    try:
        images = load_images(path)
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017 - some damage goes unseen
    else:
        assert images.classes > 0


@pytest.mark.parametrize(
    "change",
    [
        {"x_test": PIXELS[:2].astype(float)},
        {"x_train": PIXELS[:3]},
        {"y_test": np.arange(3)},
        {"y_train": np.arange(4) - 1},
        {"x_test": PIXELS[:0], "y_test": np.arange(0)},
        {"x_train": PIXELS[0]},
    ],
    ids=["floats", "an image too few", "a label too many", "a negative label", "none", "2-D"],
)
def test_arrays_that_are_no_labelled_images_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    np.savez(tmp_path / "images.npz", **GOOD | change)
    with pytest.raises(ConfigurationError, match=r"images are uint8|a label is negative"):
        load_images(tmp_path / "images.npz")


@pytest.mark.needs("PIL")
def test_e3_a_damaged_jpeg_is_an_image_or_refused(tmp_path: Path) -> None:
    from PIL import Image

    picture, path, random = io.BytesIO(), tmp_path / "images.npz", Random(0)
    Image.fromarray(PIXELS[0]).resize((8, 8)).save(picture, "JPEG")
    size = len(picture.getvalue())
    others = {"offset": np.array([0, size, 2 * size]), "split": np.arange(2), "label": np.arange(2)}
    shape = picture.getvalue().index(b"\xff\xc0") + 5
    changes = [(slice(shape, shape + 4), 255)]  # 65,535 by 65,535 pixels
    for place, value in changes + [(random.randrange(size), random.randrange(256)) for _ in range(200)]:
        blob = np.frombuffer(2 * picture.getvalue(), np.uint8).copy()
        blob[place] = value
        np.savez(path, blob=blob, **others)
        try:
            assert load_images(path).train.shape == (1, 8, 8)
        except ConfigurationError:
            continue


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
