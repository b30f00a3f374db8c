"""Any arguments for any function of the extension: it raises and touches nothing, or writes to its output only.

``.ci/harden sanitize`` runs this file with the extension under sanitizers, which see what else is read or written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from native import _native

REFUSALS = (ValueError, TypeError, OverflowError, BufferError)


@dataclass(frozen=True)
class Buffer:
    """Dimensions are "n", "5", "32*k" or "m+1"; items are unsigned integers of one of these numbers of bytes."""

    shape: tuple[str, ...]
    items: tuple[int, ...] = (8,)
    written: bool = False


def reads(*shape: str, items: tuple[int, ...] = (8,)) -> Buffer:
    return Buffer(shape, items)


def writes(*shape: str, items: tuple[int, ...] = (8,)) -> Buffer:
    return Buffer(shape, items, written=True)


WORDS, BYTES = (4, 8), (1,)
MASKS = st.sampled_from([*_native.mask_backends(), *_native.mask_backends(), "quantum"])
FIELDS = st.sampled_from([None, *_native.mod_backends(97), *_native.mod_backends(2**61 - 1)])
PACKS = st.sampled_from([None, *_native.pack_backends()])
HASHES = st.sampled_from([None, *_native.murmur3_backends()])
BLOOMS = st.sampled_from([None, *_native.bloom_backends()])
SIZES = st.fixed_dictionaries({letter: st.integers(0, 4) for letter in "jkmn"})
MODULI = st.sampled_from([3, 97, 2**52 - 47, 2**61 - 1, 2**64 - 59]) | st.integers(-1, 2**64)
NUMBERS = st.integers(0, 40) | st.integers(-1, 2**64)
CELLS = st.integers(0, 33)  # of one word, and hashes of a filter
THREADS = st.sampled_from([1, 1, 1, 2, 0, 65])
CLIPS = st.floats() | st.just(2.5)

SIGNATURES: Mapping[str, tuple[Buffer | st.SearchStrategy[object], ...]] = {
    "add_streams": (
        MASKS,
        writes("n", items=WORDS),
        reads("32*k", items=BYTES),
        reads("k", items=BYTES),
        NUMBERS,
        THREADS,
    ),
    "add_row_streams": (
        *(MASKS, writes("n", "m", items=WORDS), reads("64*k", items=BYTES), reads("n", "32", items=BYTES)),
        *(st.none(), st.none(), reads("k", items=BYTES), THREADS),
    ),
    "add_tagged_rows": (
        *(MASKS, writes("n", "m", items=WORDS), reads("32*k", items=BYTES), reads("n", "16", items=BYTES)),
        *(reads("j"), reads("k"), reads("k", items=BYTES), THREADS),
    ),
    "quantize": (
        *(writes("n", "m+1", items=WORDS), reads("n", "m", items=WORDS), reads("n", items=(4,)), CLIPS, NUMBERS),
        reads("n", "m", items=(4,)),
    ),
    "quantize_stream": (
        *(MASKS, writes("n", "m+1", items=WORDS), reads("n", "m", items=WORDS), reads("n", items=(4,)), CLIPS),
        *(NUMBERS, reads("32", items=BYTES)),
    ),
    "pack": (PACKS, reads("n", items=WORDS), NUMBERS),
    "unpack": (PACKS, writes("n", items=(8,)), reads("8*n", items=BYTES), st.just(64)),
    "mod_add": (FIELDS, writes("n"), reads("n"), reads("n"), MODULI),
    "mod_sub": (FIELDS, writes("n"), reads("n"), reads("n"), MODULI),
    "mod_mul": (FIELDS, writes("n"), reads("n"), reads("n"), MODULI),
    "mod_scale": (FIELDS, writes("n"), reads("n"), NUMBERS, MODULI),
    "mod_power": (FIELDS, writes("n"), reads("n"), NUMBERS, MODULI),
    "mod_inverse": (FIELDS, writes("n"), reads("n"), MODULI),
    "mod_dot": (FIELDS, reads("n"), reads("n"), MODULI),
    "mod_evaluate": (FIELDS, writes("n"), reads("m"), reads("n"), MODULI),
    "mod_lagrange": (FIELDS, writes("n"), reads("n"), NUMBERS, MODULI),
    "shamir_share": (FIELDS, writes("k", "n", "5"), reads("k", "32", items=BYTES), reads("k", "m", "5"), reads("n")),
    "shamir_reconstruct": (FIELDS, writes("k", "32", items=BYTES), reads("n"), reads("k", "n", "5")),
    "murmur3": (HASHES, writes("n", "2"), reads("n"), NUMBERS),
    "bloom_insert": (BLOOMS, writes("1", items=(4,)), CELLS, CELLS, reads("m")),
    "bloom_contains": (BLOOMS, reads("1", items=(4,)), CELLS, CELLS, writes("m", items=BYTES), reads("m")),
    "bloom_members": (BLOOMS, reads("1", items=(4,)), CELLS, CELLS, writes("m"), NUMBERS),
    "nn_finite": (reads("n", items=(4,)),),
    "nn_below": (reads("n", items=WORDS), NUMBERS),
}


Arguments = list[object]


def size(term: str, letters: Mapping[str, int]) -> int:
    product, _, more = term.partition("+")
    return prod(letters[factor] if factor in letters else int(factor) for factor in product.split("*")) + int(more or 0)


def array_in(memory: bytearray, offset: int, like: np.ndarray) -> np.ndarray:
    return np.frombuffer(memory, np.uint8, like.nbytes, offset).view(like.dtype).reshape(like.shape)


def copied(array: np.ndarray, offset: int = 0) -> np.ndarray:
    """In memory of its own, which ends where the array does."""
    memory = bytearray(offset) + bytearray(array.tobytes())
    return array_in(memory, offset, array)


def frozen(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


@st.composite
def arguments_of(draw: st.DrawFn, name: str) -> Arguments:
    """Arrays that fit each other, beside anything else."""
    letters, rng = draw(SIZES), np.random.default_rng(draw(st.integers(0, 9)))
    top = draw(st.sampled_from([1, 2, 256]))  # of the bytes: small words are residues, all zeros are everything
    found: Arguments = []
    for wanted in SIGNATURES[name]:
        if isinstance(wanted, Buffer):
            items = draw(st.sampled_from(wanted.items))
            shape = [size(term, letters) for term in wanted.shape]
            content = rng.integers(0, top, [*shape, items], np.uint8)
            found.append(copied(content.view(f"u{items}").reshape(shape)))
        else:
            found.append(draw(wanted))
    return found


def returns(name: str, arguments: Arguments) -> bool:
    """Whether a call does; in a function of its own, so that no traceback keeps the arguments."""
    try:
        getattr(_native, name)(*arguments)
    except REFUSALS:
        return False
    return True


def output_of(name: str) -> int | None:
    return next((i for i, wanted in enumerate(SIGNATURES[name]) if isinstance(wanted, Buffer) and wanted.written), None)


def kept(argument: object) -> bytes:
    return argument.tobytes() if isinstance(argument, np.ndarray) else b""


def arrays_of(arguments: Arguments) -> list[np.ndarray]:
    return [argument for argument in arguments if isinstance(argument, np.ndarray)]


def memory_of(array: np.ndarray) -> bytearray:
    below = array.base
    return memory_of(below) if isinstance(below, np.ndarray) else below.obj


def check(name: str, arguments: Arguments, *, refused: bool = False) -> None:
    """Call, and see that nothing else is touched, nor held afterwards."""
    before, output = [kept(argument) for argument in arguments], output_of(name)
    memories = [memory_of(array) for array in arrays_of(arguments)]
    returned = returns(name, arguments)
    assert not (returned and refused)
    written = [number for number, argument in enumerate(arguments) if kept(argument) != before[number]]
    assert written in ([], [output] if returned else [])
    arguments.clear()
    for memory in memories:
        memory.append(0)  # raises while anybody has a view of it


def test_every_function_is_here() -> None:
    functions = {name for name in vars(_native) if not name.startswith("__")}
    steps = {"nn_step", "nn_pool", "nn_close", "nn_program", "nn_run", "nn_places", "nn_feed"}  # test_fuzz_nn.py
    assert functions - steps - {name for name in functions if name.endswith("_backends")} == set(SIGNATURES)


@pytest.mark.parametrize("name", SIGNATURES)
def test_some_calls_with_no_empty_array_return(name: str) -> None:
    find(
        arguments_of(name),
        lambda arguments: all(map(kept, arrays_of(arguments))) and returns(name, arguments),
        settings=settings(derandomize=True, max_examples=1000, phases=[Phase.generate]),
    )


@pytest.mark.parametrize("name", SIGNATURES)
@given(data=st.data())
def test_a_call_writes_to_its_output_only(name: str, data: st.DataObject) -> None:
    check(name, data.draw(arguments_of(name)))


# ---- One argument that does not fit ----


SPOILS: Mapping[str, Callable[[np.ndarray], object]] = {
    "item size": lambda array: copied(array.astype(np.uint16)),
    "dimensions": lambda array: copied(array[..., None]),
    "length": lambda array: copied(array[:-1]),
    "width": lambda array: copied(array[..., :-1]),
    "strides": lambda array: array[::-1],
    "alignment": lambda array: copied(array, offset=1),
    "read-only": frozen,
    "no buffer": lambda array: array.tolist(),
    "nothing": lambda _: None,
}

ANY_DIMENSIONS = (
    "mod_add",
    "mod_sub",
    "mod_mul",
    "mod_scale",
    "mod_power",
    "mod_inverse",
    "mod_evaluate",
    "mod_lagrange",
)
ANY_DIMENSIONS += ("nn_finite", "nn_below")


def fits_anyway(name: str, number: int, how: str, array: np.ndarray) -> bool:
    """Whether the spoiled argument is still one that the function takes."""
    wanted = SIGNATURES[name][number]
    terms = [term for other in SIGNATURES[name] if isinstance(other, Buffer) for term in other.shape]
    free = [term.isalpha() and sum(term in other for other in terms) == 1 for term in wanted.shape]
    return {
        "dimensions": name in ANY_DIMENSIONS and wanted.shape == ("n",),
        "length": free[0] or len(array) == 0,
        "width": free[-1] or array.shape[-1] == 0,
        "strides": array.size == 0 or len(array) == 1,
        "alignment": array.size == 0 or array.itemsize == 1,
        "read-only": number != output_of(name),
    }.get(how, False)


@pytest.mark.parametrize("name", SIGNATURES)
@given(data=st.data())
@settings(max_examples=20)
def test_an_argument_that_does_not_fit_is_refused(name: str, data: st.DataObject) -> None:
    original = data.draw(arguments_of(name))
    for number, wanted in enumerate(SIGNATURES[name]):
        for how, spoil in SPOILS.items() if isinstance(wanted, Buffer) else ():
            arguments = [copied(argument) if isinstance(argument, np.ndarray) else argument for argument in original]
            refused = not fits_anyway(name, number, how, original[number])
            arguments[number] = spoil(arguments[number])
            check(name, arguments, refused=refused)


@pytest.mark.parametrize("name", [name for name in SIGNATURES if output_of(name) is not None])
@given(data=st.data())
@settings(max_examples=20)
def test_an_output_that_meets_an_input_in_part_is_refused(name: str, data: st.DataObject) -> None:
    original = data.draw(arguments_of(name))
    output = original[output_of(name)]
    for number, argument in enumerate(original):
        if not isinstance(argument, np.ndarray) or argument is output or not (argument.size and output.size):
            continue
        offset = (output.nbytes - 1) // 8 * 8
        memory = bytearray(output.nbytes + argument.nbytes)
        arguments = list(original)
        arguments[output_of(name)] = array_in(memory, 0, output)
        arguments[number] = array_in(memory, offset, argument)
        before = bytes(memory)
        assert (offset == 0 and argument.nbytes == output.nbytes) or not returns(name, arguments)
        assert memory == before or offset == 0
