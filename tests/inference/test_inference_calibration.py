"""The rates of the cost model: measured once, kept, never needed; and that they decide."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from test_inference_images import Builder

from native import nn
from securefl.inference import Session, calibration
from securefl.inference.cost import Rates, typical
from securefl.inference.planning import make_plan, rows
from securefl.inference.settings import checked

KERNELS = nn.kernels(None)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which kernels were measured, in a cache of its own. The measurement itself is another test's."""
    calls = list[str]()

    def measure(kernels: nn.Kernels) -> Rates:
        calls.append(kernels.name)
        return typical(kernels)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(calibration, "measure", measure)
    return calls


def net() -> Builder:
    b = Builder(0, 32, (24, 24))
    b.out = b.conv("x", 32, 32, 3)  # type: ignore[attr-defined]
    return b


def session(**settings: object) -> Session:
    b = net()
    return Session(b.graph(b.out), **settings)  # type: ignore[arg-type, attr-defined]


def test_the_machine_is_measured_once(measured: list[str], tmp_path: Path) -> None:
    session()
    session()
    assert measured == [KERNELS.name]
    (kept,) = (tmp_path / "cache" / "securefl").iterdir()
    assert msgspec.json.decode(kept.read_bytes(), type=Rates) == typical(KERNELS)


def test_each_set_of_instructions_has_its_own_rates(measured: list[str]) -> None:
    for name in nn.backends():
        session(instructions=name)
        session(instructions=name)
    assert measured == list(nn.backends())


def test_it_can_be_turned_off(measured: list[str], tmp_path: Path) -> None:
    session(calibrate=False)
    assert measured == []
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b'{"product": []}', b"[" * 100_000])
def test_a_damaged_cache_is_measured_anew(damage: bytes, measured: list[str], tmp_path: Path) -> None:
    session()
    (kept,) = (tmp_path / "cache" / "securefl").iterdir()
    kept.write_bytes(damage)
    session()
    assert len(measured) == 2
    assert msgspec.json.decode(kept.read_bytes(), type=Rates) == typical(KERNELS)


def test_rates_of_other_tiles_are_measured_anew(measured: list[str], tmp_path: Path) -> None:
    session()
    (kept,) = (tmp_path / "cache" / "securefl").iterdir()
    kept.write_bytes(msgspec.json.encode(msgspec.structs.replace(typical(KERNELS), product=(1e-11,))))
    session()
    assert len(measured) == 2


def test_without_a_place_for_it_the_cache_is_passed_over(measured: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    session()
    session()
    assert len(measured) == 2


def test_what_is_measured_are_times(instructions: str) -> None:
    kernels = nn.kernels(instructions)
    rates = calibration.measure(kernels)
    assert len(rates.product) == kernels.tile_rows
    assert all(0 < rate < 1e-6 for rate in (*rates.product, rates.weight, rates.moved, rates.transformed))
    assert 0 < rates.exponential < 1e-6
    assert 0 < rates.step < 1e-3


@pytest.mark.parametrize(("transformed", "chosen"), [(0.0, "Winograd"), (1.0, "direct")])
def test_the_rates_decide(transformed: float, chosen: str) -> None:
    b, rates = net(), msgspec.structs.replace(typical(KERNELS), transformed=transformed)
    plan = make_plan(b.graph(b.out), checked(), rates)  # type: ignore[attr-defined]
    assert any(row.algorithm.startswith(chosen) for row in rows(plan))
