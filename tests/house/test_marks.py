"""The marks plugin in tests/conftest.py, run on small suites of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory with the plugin, strict as the project's own tests, and with no real data."""
    monkeypatch.setenv("SECUREFL_DATA", str(pytester.path / "absent"))
    pytester.makeini("[pytest]\naddopts = -ra --strict-markers\nfilterwarnings = error\nxfail_strict = true")
    pytester.makeconftest(CONFTEST.read_text())
    return pytester


SLOW = """
    import pytest

    def test_quick(): pass

    @pytest.mark.slow
    def test_slow(): pass

    @pytest.mark.slow
    def test_slower(): pass
"""

NEEDS = """
    import pytest

    def test_plain(): pass

    @pytest.mark.needs("data")
    def test_data(data_folder): assert (data_folder / "here").exists()

    @pytest.mark.needs("data", "no_such_program")
    def test_both(): pass

    @pytest.mark.needs("json", "sh")
    def test_present(): pass
"""


def test_slow_is_deselected_and_counted(suite: pytest.Pytester) -> None:
    suite.makepyfile(SLOW)
    result = suite.runpytest()
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(["slow deselected: 2; skipped for absent needs: 0"])


@pytest.mark.parametrize(("arguments", "passed"), [(["--all"], 3), (["-m", "slow"], 2), (["-m", "not slow"], 1)])
def test_slow_runs_when_asked_for(suite: pytest.Pytester, arguments: list[str], passed: int) -> None:
    suite.makepyfile(SLOW)
    result = suite.runpytest(*arguments)
    result.assert_outcomes(passed=passed, deselected=3 - passed)
    result.stdout.fnmatch_lines(["slow deselected: 0; *"])


def test_only_selected_slow_tests_are_counted(suite: pytest.Pytester) -> None:
    suite.makepyfile(SLOW)
    suite.runpytest("-k", "quick or slower").stdout.fnmatch_lines(["slow deselected: 1; *"])


def test_absent_needs_skip_with_a_reason_and_are_counted(suite: pytest.Pytester) -> None:
    suite.makepyfile(NEEDS)
    result = suite.runpytest()
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["slow deselected: 0; skipped for absent needs: 2 (data 2, no_such_program 1)"])
    result.stdout.fnmatch_lines(
        ["SKIPPED*needs data: */absent is no folder; set SECUREFL_DATA; needs no_such_program: neither*"]
    )


def test_data_is_found_where_the_variable_points(suite: pytest.Pytester) -> None:
    suite.mkdir("absent").joinpath("here").touch()
    suite.makepyfile(NEEDS)
    result = suite.runpytest()
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(["*skipped for absent needs: 1 (no_such_program 1)"])


def test_data_stands_beside_the_checkout_by_default(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECUREFL_DATA")
    (data := suite.mkdir("shared") / "data").mkdir()
    (data / "here").touch()
    suite.makepyfile(NEEDS)
    suite.runpytest("--rootdir", suite.mkdir("checkout")).assert_outcomes(passed=3, skipped=1)


@pytest.mark.parametrize(
    ("unshare", "outcome"),
    [("exit 0", {"passed": 1}), ("[ $# = 3 ]", {"passed": 1}), ("exit 1", {"skipped": 1})],
    ids=["as root", "with a user namespace", "not at all"],
)
def test_needs_of_a_network_namespace(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, unshare: str, outcome: dict[str, int]
) -> None:
    suite.makepyfile(
        'import pytest\n@pytest.mark.needs("network namespace")\ndef test_it(unshared): assert "--net" in unshared'
    )
    program = suite.mkdir("programs") / "unshare"
    program.write_text(f"#!/bin/sh\n{unshare}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    result = suite.runpytest_subprocess("--all")
    result.assert_outcomes(**outcome)
    if "skipped" in outcome:
        result.stdout.fnmatch_lines(["*skipped for absent needs: 1 (network namespace 1)"])
        result.stdout.fnmatch_lines(["SKIPPED*needs a network namespace: this machine lets this user have none"])


def test_needs_of_a_whole_module(suite: pytest.Pytester) -> None:
    suite.makepyfile('import pytest\npytestmark = pytest.mark.needs("no_such_program")\ndef test_it(): pass')
    suite.runpytest().assert_outcomes(skipped=1)


@pytest.mark.parametrize(
    "skips",
    [
        NEEDS,
        "import pytest\ndef test_it(): pytest.skip('why not')",
        "import pytest\n@pytest.mark.skip\ndef test_it(): pass",
        "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_it(x): pass",
        "import pytest\npytest.skip('why not', allow_module_level=True)",
        "import pytest\npytest.importorskip('no_such_package')",
    ],
    ids=["needs", "call", "mark", "no parameters", "module", "importorskip"],
)
def test_every_skip_fails_under_all(suite: pytest.Pytester, skips: str) -> None:
    suite.makepyfile(skips)
    assert suite.runpytest().ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    result = suite.runpytest("--all")
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    assert "skipped" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*(under --all a skip is a failure)"])


def test_expected_failures_stay_expected_under_all(suite: pytest.Pytester) -> None:
    suite.makepyfile("import pytest\n@pytest.mark.xfail\ndef test_it(): raise ValueError")
    suite.runpytest("--all").assert_outcomes(xfailed=1)
