"""Read the columns of a click log from a file: `.npz` (one array a column) or `.csv` (one header line)."""

from __future__ import annotations

import csv
import zipfile
import zlib
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from securefl.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Columns: TypeAlias = dict[str, NDArray[Any]]

LABELS = ("label", "click", "rating")
"""Names of the column that tells clicks; the first one present counts."""
COLUMNS = ("user", "item", "category", "timestamp", *LABELS)
LARGEST = 2**30
"""Bytes of a csv file or of one npz array: what is larger is refused before it is read."""
LONGEST_FIELD = 256
CHUNK = 65_536
MAGIC = b"PK\x03\x04"
WRITTEN_BY_NUMPY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_columns(path: Path) -> Columns:
    """The columns in `COLUMNS` that a file has, each (rows,) and of equal length, at most one of `LABELS`.

    csv fields come as text. Other columns are not even read. Raises ConfigurationError for a file that cannot be used.
    """
    readers = {".npz": _read_npz, ".csv": _read_csv}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ConfigurationError(f"{path}: a click log must be a .npz or .csv file; convert or rename it")
    if not path.is_file():
        raise ConfigurationError(f"{path}: there is no such file; check the path of the click log")
    try:
        columns = read(path)
    except OSError as error:
        reason = error.strerror or "bad contents"
        raise ConfigurationError(f"{path}: cannot be read ({reason}); check the file and its permissions") from error
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigurationError(f"{path}: the columns differ in length ({lengths}); give each one entry per row")
    if lengths["user"] == 0:
        raise ConfigurationError(f"{path}: the click log is empty; give it at least one row")
    return columns


def _wanted(path: Path, names: Sequence[str]) -> list[str]:
    """The columns to read out of those a file has."""
    for name in ("user", "item"):
        if name not in names:
            raise ConfigurationError(
                f"{path}: column {name!r} is missing; name the columns user, item "
                "and, if there are any, category, label, timestamp"
            )
    spare = [name for name in LABELS if name in names][1:]
    wanted = [name for name in COLUMNS if name in names and name not in spare]
    for name in wanted:
        if names.count(name) > 1:
            raise ConfigurationError(f"{path}: column {name!r} appears twice; keep one")
    return wanted


def _read_npz(path: Path) -> Columns:
    try:
        entries = [(entry.filename.removesuffix(".npy"), entry.file_size) for entry in _entries(path)]
        wanted, sizes = _wanted(path, [name for name, _ in entries]), dict(entries)
        for name in wanted:
            if sizes[name] > LARGEST:
                raise ConfigurationError(
                    f"{path}: array {name!r} takes {sizes[name]:,} bytes, more than {LARGEST:,}; split the log"
                )
        with np.load(path, allow_pickle=False) as arrays:
            return {name: _array(path, name, arrays) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ConfigurationError(f"{path}: is damaged or no npz archive; save it with numpy.savez") from error


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    """What the archive holds; BadZipFile for one that numpy did not write: zipfile forgives and unpacks more."""
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        entries = zipfile.ZipFile(file).infolist()
    if magic != MAGIC or any(entry.compress_type not in WRITTEN_BY_NUMPY for entry in entries):
        raise zipfile.BadZipFile
    return entries


def _array(path: Path, name: str, arrays: Any) -> NDArray[Any]:
    try:
        array = arrays[name]
    except (ValueError, KeyError, TypeError, MemoryError) as error:
        raise ConfigurationError(
            f"{path}: array {name!r} cannot be read; save it as plain numbers or text, not as Python objects"
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "biufU":
        kind = f"shape {array.shape} and type {array.dtype}" if isinstance(array, np.ndarray) else "no array format"
        raise ConfigurationError(f"{path}: array {name!r} has {kind}; it must hold one number or text per row")
    return array


def _read_csv(path: Path) -> Columns:
    size = path.stat().st_size
    if size > LARGEST:
        raise ConfigurationError(f"{path}: takes {size:,} bytes, more than {LARGEST:,}; split it or save it as .npz")
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            wanted = _wanted(path, header)
            chunks = list(_chunks(path, reader, header, wanted))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: is no csv text in UTF-8; export it again, with commas") from error
    columns = zip(*chunks, strict=True) if chunks else [[np.empty(0, str)]] * len(wanted)
    return {name: np.concatenate(parts) for name, parts in zip(wanted, columns, strict=True)}


def _chunks(
    path: Path, rows: Iterator[list[str]], header: list[str], wanted: list[str]
) -> Iterator[list[NDArray[np.str_]]]:
    """The wanted columns, `CHUNK` rows at a time: as Python strings the whole file would take ten times its size."""
    pick = itemgetter(*map(header.index, wanted))
    start = 1
    while chunk := list(islice(rows, CHUNK)):
        filled = [row for row in chunk if row]  # blank lines are no rows
        for number, row in enumerate(filled, start):
            if len(row) != len(header):
                raise ConfigurationError(
                    f"{path}: row {number} has {len(row)} fields, the header {len(header)}; complete or remove that row"
                )
        if filled:
            columns = zip(*map(pick, filled), strict=True)
            yield [_field(path, n, c, start) for n, c in zip(wanted, columns, strict=True)]
        start += len(filled)


def _field(path: Path, name: str, texts: tuple[str, ...], start: int) -> NDArray[np.str_]:
    longest = max(map(len, texts))
    if longest > LONGEST_FIELD:
        raise ConfigurationError(
            f"{path}: column {name!r} has an entry of {longest} characters; use ids of at most {LONGEST_FIELD}"
        )
    column = np.char.strip(np.array(texts))
    if (column == "").any():
        row = start + int(np.argmax(column == ""))
        raise ConfigurationError(f"{path}: column {name!r} is empty in row {row}; fill it in or remove that row")
    return column
