"""What the kernels compute, in plain Python over ints, lists and bytes: the oracle that every backend must equal.

Of ``native.field.Modulus`` only the polynomials stand here: the rest is Python's own ``%`` and ``pow``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import floor, prod

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

__all__ = [
    "aes",
    "stream",
    "row_tag",
    "row_stream",
    "add_stream",
    "add_tagged_rows",
    "add_row_streams",
    "quantize",
    "pack",
    "unpack",
    "uniform",
    "share",
    "reconstruct",
    "evaluate",
    "lagrange",
    "murmur3_x64_128",
    "filter_cells",
]

P61 = 2**61 - 1
LIMBS = (7, 7, 7, 7, 4)  # bytes
WORD = 2**64

# ---- masks ----


def aes(key: bytes, block: bytes) -> bytes:
    """One block of AES-256 (FIPS 197)."""
    return Cipher(AES(key), ECB()).encryptor().update(block)  # noqa: S305 - one block has no mode


def stream(key: bytes, blocks: int, first: int = 0) -> bytes:
    """Blocks first, first + 1, ... of AES-256-CTR (SP 800-38A), the counter being the whole block."""
    return b"".join(aes(key, i.to_bytes(16, "big")) for i in range(first, first + blocks))


def row_tag(tag_key: bytes, digest: bytes) -> bytes:
    """The first 14 bytes of the CBC-MAC of a row's 32-byte digest."""
    inner = aes(tag_key, digest[:16])
    return aes(tag_key, bytes(a ^ b for a, b in zip(inner, digest[16:], strict=True)))[:14]


def row_stream(stream_key: bytes, tag: bytes, blocks: int) -> bytes:
    """The stream of the row with this tag."""
    return b"".join(aes(stream_key, tag + i.to_bytes(2, "big")) for i in range(blocks))


def add_stream(
    words: Sequence[int], key: bytes, word_bits: int, *, first: int = 0, subtract: bool = False
) -> list[int]:
    """Words of 32 or 64 bits plus (or minus) the key's stream from block ``first`` on."""
    return _masked(words, stream(key, _blocks(words, word_bits), first), word_bits, subtract)


def add_tagged_rows(
    rows: Sequence[Sequence[int]],
    stream_key: bytes,
    tags: Sequence[bytes],
    word_bits: int,
    *,
    index: Iterable[int] | None = None,
    subtract: bool = False,
) -> list[list[int]]:
    """Rows plus (or minus) their own streams, where they are in the index."""
    out = [list(row) for row in rows]
    for j in range(len(out)) if index is None else index:
        pad = row_stream(stream_key, tags[j], _blocks(out[j], word_bits))
        out[j] = _masked(out[j], pad, word_bits, subtract)
    return out


def add_row_streams(
    rows: Sequence[Sequence[int]],
    tag_key: bytes,
    stream_key: bytes,
    digests: Sequence[bytes],
    word_bits: int,
    *,
    index: Iterable[int] | None = None,
    subtract: bool = False,
) -> list[list[int]]:
    """The same with tags from digests."""
    tags = [row_tag(tag_key, digest) for digest in digests]
    return add_tagged_rows(rows, stream_key, tags, word_bits, index=index, subtract=subtract)


def _blocks(words: Sequence[int], word_bits: int) -> int:
    return -(-len(words) * word_bits // 128)


def _masked(words: Sequence[int], pad: bytes, word_bits: int, subtract: bool) -> list[int]:
    pads = unpack(pad, word_bits, 8 * len(pad) // word_bits)
    return [(w - p if subtract else w + p) % 2**word_bits for w, p in zip(words, pads, strict=False)]


# ---- quantization ----


def quantize(
    rows: Sequence[Sequence[float]], weights: Sequence[int], clip: float, levels: int, draws: Sequence[int]
) -> list[list[int]]:
    """Weighted integers with the weight behind them; draw i, below 2^32, belongs to the i-th value of all."""
    draw = iter(draws)
    out = []
    for row, weight in zip(rows, weights, strict=True):
        scaled = [min(max(x, -clip), clip) / clip * levels for x in row]
        rounded = [floor(v) + (next(draw) < (v - floor(v)) * 2**32) for v in scaled]
        out.append([*(n * weight for n in rounded), weight])
    return out


# ---- packing ----


def pack(values: Sequence[int], bits: int) -> bytes:
    """Value i, cut to ``bits``, at bit i * bits of one little-endian number."""
    number: int = sum((value % 2**bits) << i * bits for i, value in enumerate(values))
    return number.to_bytes(-(-len(values) * bits // 8), "little")


def unpack(data: bytes, bits: int, count: int) -> list[int]:
    """The way back."""
    number = int.from_bytes(data, "little")
    return [(number >> i * bits) % 2**bits for i in range(count)]


# ---- Shamir over GF(2^61 - 1) ----


def uniform(count: int, rng: Callable[[int], bytes]) -> list[int]:
    """Field elements from one call of ``rng``; those of 61 ones are drawn again."""
    if count == 0:
        return []
    words = [word & P61 for word in unpack(rng(8 * count), 64, count)]
    missing = [i for i, word in enumerate(words) if word == P61]
    for i, word in zip(missing, uniform(len(missing), rng), strict=True):
        words[i] = word
    return words


def share(
    secrets: Sequence[bytes], threshold: int, points: Sequence[int], rng: Callable[[int], bytes]
) -> list[list[list[int]]]:
    """Shares [secret][point][limb]; randomness is used in the order [secret][power - 1][limb]."""
    words = iter(uniform(len(secrets) * (threshold - 1) * len(LIMBS), rng))
    shares = []
    for secret in secrets:
        polynomials = [_limbs(secret), *([next(words) for _ in LIMBS] for _ in range(threshold - 1))]
        shares.append([[evaluate(column, x, P61) for column in zip(*polynomials, strict=True)] for x in points])
    return shares


def reconstruct(points: Sequence[int], shares: Sequence[Sequence[Sequence[int]]]) -> list[bytes]:
    """Every secret from its shares [secret][point][limb], by Lagrange interpolation at zero."""
    weights = lagrange(points, 0, P61)
    return [_secret([_dot(weights, column) for column in zip(*rows, strict=True)]) for rows in shares]


def _limbs(secret: bytes) -> list[int]:
    starts = [sum(LIMBS[:i]) for i in range(len(LIMBS))]
    return [int.from_bytes(secret[at : at + size], "little") for at, size in zip(starts, LIMBS, strict=True)]


def _secret(limbs: Sequence[int]) -> bytes:
    return b"".join(limb.to_bytes(size, "little") for limb, size in zip(limbs, LIMBS, strict=True))


def _dot(weights: Sequence[int], words: Sequence[int]) -> int:
    return sum(w * y for w, y in zip(weights, words, strict=True)) % P61


# ---- polynomials modulo m ----


def evaluate(coefficients: Sequence[int], x: int, m: int) -> int:
    """The value at x, coefficients from the constant term on."""
    return sum(c * pow(x, k, m) for k, c in enumerate(coefficients)) % m


def lagrange(points: Sequence[int], at: int, m: int) -> list[int]:
    """Weights of f(at): the products over j != i of (at - x_j) / (x_i - x_j). ValueError when one does not exist."""
    weights = []
    for i, x in enumerate(points):
        others = [y for j, y in enumerate(points) if j != i]
        weights.append(prod((at - y) * pow(x - y, -1, m) for y in others) % m)
    return weights


# ---- hashing ----


def murmur3_x64_128(key: int, seed: int = 0) -> tuple[int, int]:
    """MurmurHash3_x64_128 of the eight little-endian bytes of ``key``."""
    mixed = _rotate(key * 0x87C37B91114253D5 % WORD, 31) * 0x4CF5AD432745937F % WORD
    a, b = seed ^ mixed ^ 8, seed ^ 8
    a, b = _cross(a, b)
    return _cross(_finish(a), _finish(b))


def _cross(a: int, b: int) -> tuple[int, int]:
    a = (a + b) % WORD
    return a, (a + b) % WORD


def _rotate(x: int, bits: int) -> int:
    return (x << bits | x >> 64 - bits) % WORD


def _finish(x: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> 33) * factor % WORD
    return x ^ x >> 33


# ---- Bloom filters ----


def filter_cells(key: int, cells: int, hashes: int) -> list[int]:
    """The cells of a key, in the order of its probes."""
    start, step = murmur3_x64_128(key)
    return [(start + j * (step | 1)) % WORD * cells // WORD for j in range(hashes)]
