"""Which tests run: marks `slow` and `needs`, the option `--all`, and a line that counts what was left out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = ["pytester"]

settings.register_profile("house", settings.default, deadline=None)  # shared cores: one timing proves nothing
settings.register_profile("few", settings.default, deadline=None, max_examples=20)  # under sanitizers
settings.load_profile("house")

SLOW_DESELECTED = pytest.StashKey[int]()
SKIPPED = pytest.StashKey[int]()
ABSENT = pytest.StashKey[Counter[str]]()

NETWORK_NAMESPACE = "network namespace"
NO_NAMESPACE = "needs a network namespace: this machine lets this user have none"
UNSHARE = (("unshare", "--net"), ("unshare", "--net", "--map-root-user"))
"""What starts a command in a network namespace of its own: for root, and for others where they may have one."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(scope="session")
def data_folder(pytestconfig: pytest.Config) -> Path:
    """The folder of real data. A test that asks for it is marked ``needs("data")``."""
    return _data_folder(pytestconfig)


@pytest.fixture(scope="session")
def unshared() -> list[str]:
    """Put before a command: it has no network but loopback, which is down. Marked ``needs("network namespace")``."""
    return list(_unshare() or ())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run slow tests too; a skipped test is a failure")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes seconds or more; runs with --all or -m slow")
    config.addinivalue_line(
        "markers",
        'needs(*names): "data" (folder SECUREFL_DATA), "network namespace", an importable package or a program on the '
        "PATH",
    )
    config.stash[SLOW_DESELECTED], config.stash[SKIPPED], config.stash[ABSENT] = 0, 0, Counter()


@pytest.hookimpl(trylast=True)  # after -k and -m, so that only tests somebody asked for are counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--all") and "slow" not in config.option.markexpr:
        _deselect_slow(config, items)
    for item in items:
        _skip_without_needs(config, item)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: sees what the skip and xfail marks made of the report
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged(item.config, (yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged(collector.config, (yield))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    absent = ", ".join(f"{name} {count}" for name, count in sorted(config.stash[ABSENT].items()))
    terminalreporter.write_line(
        f"slow deselected: {config.stash[SLOW_DESELECTED]}; "
        f"skipped for absent needs: {config.stash[SKIPPED]}{absent and f' ({absent})'}"
    )


def _deselect_slow(config: pytest.Config, items: list[pytest.Item]) -> None:
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
    config.stash[SLOW_DESELECTED] = len(slow)


def _skip_without_needs(config: pytest.Config, item: pytest.Item) -> None:
    names = {name for mark in item.iter_markers("needs") for name in mark.args}
    reasons = {name: reason for name in sorted(names) if (reason := _why_absent(config, name))}
    if reasons:
        item.add_marker(pytest.mark.skip(reason="; ".join(reasons.values())))
        config.stash[SKIPPED] += 1
        config.stash[ABSENT].update(reasons.keys())


def _why_absent(config: pytest.Config, name: str) -> str | None:
    """Return why a need is not met, in one sentence, or None if it is."""
    if name == "data":
        folder = _data_folder(config)
        return None if folder.is_dir() else f"needs data: {folder} is no folder; set SECUREFL_DATA"
    if name == NETWORK_NAMESPACE:
        return None if _unshare() else NO_NAMESPACE
    if find_spec(name) or shutil.which(name):
        return None
    return f"needs {name}: neither an importable package nor a program on the PATH"


@cache
def _unshare() -> tuple[str, ...] | None:
    """The first way that works here."""
    if not shutil.which("unshare"):
        return None
    for way in UNSHARE:
        if not subprocess.run([*way, "true"], capture_output=True, check=False).returncode:  # noqa: S603 -- fixed
            return way
    return None


def _data_folder(config: pytest.Config) -> Path:
    return Path(os.environ.get("SECUREFL_DATA") or config.rootpath.parent / "shared" / "data")


def _judged(config: pytest.Config, report: Report) -> Report:
    """Under ``--all``, turn a skip into a failure; an expected failure stays what it is."""
    if config.getoption("--all") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        if NO_NAMESPACE not in str(reason):  # which nothing can install: it is counted at the end
            report.outcome, report.longrepr = "failed", f"{reason} (under --all a skip is a failure)"
    return report
