"""The certificate and its checker, which knows nothing of this library: good ones hold, tampered ones do not."""

# ruff: noqa: S603 -- the interpreter runs this repository's own example

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subjects import subject

from securefl.audit import audit
from securefl.audit.certificate import MAX_ROUNDS, certificate
from securefl.config import load_preset

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECKER = EXAMPLES / "check_certificate.py"
CODE = compile(CHECKER.read_text(), str(CHECKER), "exec")


def accepted(text: str, path: Path) -> bool:
    """Whether the checker, run in this process as a script would be, accepts a certificate."""
    path.write_text(text)
    before, sys.argv = sys.argv, [str(CHECKER), str(path)]
    try:
        exec(CODE, {"__name__": "__main__", "__file__": str(CHECKER)})  # noqa: S102 - the example itself
    except SystemExit as end:
        return not end.code
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return False
    finally:
        sys.argv = before
    raise AssertionError("the checker did not exit")


def test_the_checker_is_thirty_lines_of_the_standard_library() -> None:
    lines = [line for line in CHECKER.read_text().splitlines() if line.strip()]
    assert len(lines) <= 30
    imported = {line.split()[1] for line in lines if line.startswith(("import", "from"))}
    assert imported <= set(sys.stdlib_module_names)


ODDS = ["15/16", "7/8", "3/4", "none", "union", "3/4,1/4,3/4,1/2", "0.9,0.2,0.8,0.1", "1,0,1/2,1/2", "0.9,0,0.8,0.1"]


@pytest.mark.parametrize("odds", ODDS)
@pytest.mark.parametrize("rounds", [1, 7])
def test_a_good_certificate_holds(odds: str, rounds: int, tmp_path: Path) -> None:
    assert accepted(certificate(subject(rounds, privacy__response=odds)), tmp_path / "c.json")


@pytest.mark.parametrize("setting", ["semi_honest", "malicious"])
@pytest.mark.parametrize("t", [3, 67, 99])
def test_a_certificate_of_an_unsafe_threshold_says_so_and_holds(setting: str, t: int, tmp_path: Path) -> None:
    text = certificate(subject(secagg__setting=setting, secagg__threshold=t))
    assert accepted(text, tmp_path / "c.json")
    assert (json.loads(text)["shares"]["surplus"] < 0) == (t == 3)


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from leaves(child, (*path, key))
    if not isinstance(node, dict | list):
        yield path


def tampered(told: dict[str, Any], path: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """The certificate with one entry changed a little, in each way that suits it."""
    for change in (_more, _less):
        copy = json.loads(json.dumps(told))
        node = copy
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = change(node[path[-1]])
        yield copy


def _more(value: Any) -> Any:
    match value:
        case None:
            return 4
        case bool():
            return not value
        case int():
            return value + 1
        case str() if "." in value:
            return f"{float(value) + 1e-6:.6f}"
        case "held" | "absent":
            return {"held": "absent", "absent": "held"}[value]
        case str() if value[0].isdigit():
            return str(Fraction(value) * Fraction(101, 100)) if value != "1/0" else "1/1"
    return f"{value}2"


def _less(value: Any) -> Any:
    match value:
        case bool() | None:
            return "maybe"
        case int():
            return value - 1
        case str() if "." in value:
            return f"{float(value) - 1e-6:.6f}"
        case str() if value[0].isdigit() and value != "1/0":
            return str(Fraction(value) * Fraction(99, 100))
    return ""


@pytest.mark.parametrize("odds", ["7/8", "0.9,0.2,0.8,0.1"])
def test_no_single_entry_can_be_changed(odds: str, tmp_path: Path) -> None:
    told = json.loads(certificate(subject(5, privacy__response=odds, secagg__setting="malicious")))
    paths = list(leaves(told))
    assert len(paths) > 30
    believed = [
        (path, changed)
        for path in paths
        for changed in tampered(told, path)
        if accepted(json.dumps(changed), tmp_path / "c.json")
    ]
    assert believed == []


@settings(max_examples=30)
@given(shift=st.integers(-3, 3).filter(bool), which=st.sampled_from([0, 1, 2]))
def test_an_epsilon_that_is_understated_is_found(
    shift: int, which: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = json.loads(certificate(subject(5)))
    told["claims"][which]["epsilon"] = f"{float(told['claims'][which]['epsilon']) + shift / 10:.6f}"
    assert not accepted(json.dumps(told), tmp_path_factory.mktemp("c") / "c.json")


def test_a_witness_that_is_not_the_worst_is_found(tmp_path: Path) -> None:
    """A true outcome with true probabilities, but another one tells more."""
    told = json.loads(certificate(subject(5)))
    told["claims"][1] |= {"seen": 3, "likely": "1", "unlikely": "1", "epsilon": "0.000000"}
    assert not accepted(json.dumps(told), tmp_path / "c.json")


def test_a_long_plan_is_certified_by_what_is_revealed_ever(tmp_path: Path) -> None:
    told = json.loads(certificate(subject(10**6)))
    assert [claim["rounds"] for claim in told["claims"]] == [1, MAX_ROUNDS, None]


def test_the_shipped_certificate_is_the_one_of_the_default_preset_and_its_check_runs_alone() -> None:
    assert (EXAMPLES / "certificate.json").read_text() == audit(load_preset("small")).certificate
    command = [sys.executable, "-I", "-S", str(CHECKER)]  # no packages of this project or of anybody
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the certificate holds"), done.stderr
