"""Packing: every width, both word sizes, and nothing but what pack writes is read back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from native import reference, ring

widths = st.integers(1, 64)
every_backend = pytest.mark.parametrize("backend", ring.pack_backends())


@every_backend
@given(bits=widths, values=st.lists(st.integers(0, 2**64 - 1), max_size=150))
@example(bits=64, values=[2**64 - 1] * 9)
@example(bits=63, values=[2**64 - 1] * 9)
@example(bits=1, values=[1] * 129)
def test_pack_64_is_the_reference_and_unpack_its_inverse(backend: str, bits: int, values: list[int]) -> None:
    packed = ring.pack(np.array(values, np.uint64), bits, backend=backend)
    assert packed == reference.pack(values, bits)
    unpacked = ring.unpack(memoryview(packed), bits, len(values), backend=backend)
    assert unpacked.tolist() == [value % 2**bits for value in values]


@every_backend
@given(bits=widths, values=st.lists(st.integers(0, 2**32 - 1), max_size=150))
@example(bits=64, values=[2**32 - 1] * 9)
@example(bits=33, values=[2**32 - 1] * 9)
def test_pack_32_is_the_reference(backend: str, bits: int, values: list[int]) -> None:
    assert ring.pack(np.array(values, np.uint32), bits, backend=backend) == reference.pack(values, bits)


@given(bits=widths, data=st.binary(max_size=200))
def test_whatever_unpacks_packs_back(bits: int, data: bytes) -> None:
    count = 8 * len(data) // bits
    size = -(-count * bits // 8)
    try:
        values = ring.unpack(data[:size], bits, count)
    except ring.RingError:
        assert data[size - 1] >> count * bits % 8
    else:
        assert ring.pack(values, bits) == data[:size]


@every_backend
@pytest.mark.parametrize("bits", range(1, 65))
@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
def test_every_width_at_every_phase(backend: str, bits: int, dtype: type) -> None:
    """Lengths up to 35 put every last value at every place in its last bytes, and in every group of 16."""
    values = np.random.default_rng(bits).integers(0, np.iinfo(dtype).max, 35, dtype, endpoint=True)
    for count in range(36):
        packed = ring.pack(values[:count], bits, backend=backend)
        assert packed == reference.pack(values[:count].tolist(), bits)
        assert ring.unpack(packed, bits, count, backend=backend).tolist() == reference.unpack(packed, bits, count)


@every_backend
@pytest.mark.parametrize("bits", [1, 5, 22, 24, 32, 33, 57, 64])
def test_long_vectors(backend: str, bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, 5003, np.uint64)
    packed = ring.pack(values, bits, backend=backend)
    assert packed == reference.pack(values.tolist(), bits)
    assert (ring.unpack(packed, bits, values.size, backend=backend) == values).all()


def test_the_portable_backend_is_always_there_and_last() -> None:
    assert ring.pack_backends()[-1] == "portable"
    with pytest.raises(ring.RingError, match="choose one of"):
        ring.pack(np.zeros(1, np.uint32), 7, backend="quantum")
    with pytest.raises(ring.RingError, match="choose one of"):
        ring.unpack(b"", 7, 0, backend="quantum")


@pytest.mark.parametrize("bits", [1, 8, 32, 33, 64])
def test_the_dtype_follows_the_width(bits: int) -> None:
    assert ring.unpack(bytes(bits), bits, 8).dtype == (np.uint32 if bits <= 32 else np.uint64)


def test_a_strided_vector_packs_as_its_copy() -> None:
    values = np.arange(40, dtype=np.uint32)
    assert ring.pack(values[::3], 20) == ring.pack(values[::3].copy(), 20)


@pytest.mark.parametrize("padding", [0x10, 0x80, 0xF0])
def test_padding_must_be_zero(padding: int) -> None:
    good = ring.pack(np.array([1, 2, 3], np.uint32), 20)
    with pytest.raises(ring.RingError, match="padding"):
        ring.unpack(good[:-1] + bytes([good[-1] | padding]), 20, 3)


@pytest.mark.parametrize(("size", "count"), [(7, 3), (9, 3), (8, 2), (8, 4), (0, 1), (1, 0), (0, -1)])
def test_the_length_must_be_exact(size: int, count: int) -> None:
    with pytest.raises(ring.RingError, match="take"):
        ring.unpack(bytes(size), 20, count)


@pytest.mark.parametrize("bits", [0, 65, -1])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(ring.RingError, match=r"1\.\.64"):
        ring.pack(np.zeros(1, np.uint32), bits)
    with pytest.raises(ring.RingError, match=r"1\.\.64"):
        ring.unpack(b"", bits, 0)


@pytest.mark.parametrize("values", [np.zeros(3, np.int64), np.zeros((1, 3), np.uint32), np.zeros(3, ">u4")])
def test_values_of_the_wrong_kind(values: np.ndarray) -> None:
    with pytest.raises(ring.RingError, match="uint32 or uint64"):
        ring.pack(values, 20)


@pytest.mark.parametrize("bits", [20, 40])
def test_values_go_where_they_are_told(bits: int) -> None:
    whole = np.zeros(9, np.uint32 if bits <= 32 else np.uint64)
    packed = ring.pack(np.arange(1, 6, dtype=np.uint64), bits)
    assert ring.unpack(packed, bits, 5, out=whole[2:7]).base is whole
    assert whole.tolist() == [0, 0, 1, 2, 3, 4, 5, 0, 0]


@pytest.mark.parametrize(
    "out",
    [np.zeros(4, np.uint32), np.zeros(3, np.uint64), np.zeros(3, np.int32), np.zeros((1, 3), np.uint32)],
    ids=["long", "wide", "signed", "2-D"],
)
def test_out_of_another_form_is_refused(out: np.ndarray) -> None:
    with pytest.raises(ring.RingError, match="out must be"):
        ring.unpack(ring.pack(np.arange(3, dtype=np.uint32), 20), 20, 3, out=out)
