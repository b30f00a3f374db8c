"""The scripts of `.ci`: sound shell, and a newcomer lane that does what the README prints, on stand-ins."""

# ruff: noqa: S603, S607 -- the programs started are this repository's own, git and shellcheck

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN, HARDEN = ROOT / ".ci" / "run", ROOT / ".ci" / "harden"

README = """
Install Debian's `python3-venv gcc`.
```sh
{demo}
```
then
```sh
{test}
```
```sh
echo a third block is not run
```
"""


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing() -> None:
    subprocess.run(["shellcheck", RUN, HARDEN], check=True)


@pytest.mark.parametrize(
    ("check", "python", "sentence"),
    [
        ("softly", sys.executable, "softly is no check: constant-time, sanitize, wheel or pythons"),
        ("wheel", "absent", "absent is no program: make the environment of CONTRIBUTING.md, or set PYTHON to one"),
    ],
)
def test_harden_names_bad_settings(check: str, python: str, sentence: str) -> None:
    done = subprocess.run(
        [HARDEN, check], env=os.environ | {"PYTHON": python}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert sentence in done.stderr


class Project:
    """A repository with the real ``.ci/run``, and programs of its own in front of the PATH."""

    def __init__(self, folder: Path) -> None:
        self.root, self.programs = folder / "project", folder / "bin"
        self.temporary, self.data = folder / "tmp", folder / "data"
        for new in (self.root / ".ci", self.programs, self.temporary, self.data):
            new.mkdir(parents=True)
        shutil.copy(RUN, self.root / ".ci")
        self.program("dpkg-query", "echo install ok installed")

    def program(self, name: str, body: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.programs / name).chmod(0o755)

    def commit(self, readme: str) -> None:
        (self.root / "README.md").write_text(readme)
        self._git("init", "-q")
        self._git("add", ".")
        self._git("-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-q", "-m", "stand-in")

    def start(self, *lanes: str, **environment: str) -> subprocess.Popen[str]:
        settings = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "TMPDIR": str(self.temporary),
            "SECUREFL_DATA": str(self.data),
        }
        return subprocess.Popen(
            [self.root / ".ci" / "run", *lanes],
            env=os.environ | settings | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *lanes: str, **environment: str) -> tuple[int, str]:
        """Return exit status and output; the temporary directory is empty again."""
        process = self.start(*lanes, **environment)
        output, _ = process.communicate(timeout=30)
        assert not list(self.temporary.iterdir())
        return process.returncode, output

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", "-C", self.root, *arguments], check=True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


DEMO = "echo '<html></html>' > demo.html"


@pytest.mark.needs("git")
def test_newcomer_runs_the_two_commands_in_a_fresh_clone(project: Project) -> None:
    project.commit(README.format(demo=f"pwd && {DEMO}", test="ls demo.html && echo data $SECUREFL_DATA, CI $CI"))
    (project.root / "uncommitted").touch()
    status, output = project.run("newcomer", SECUREFL_DATA="../data", CI="true")
    assert status == 0
    assert f"{project.temporary}/" in output
    assert f"data {project.data}, CI true" in output
    assert "system packages: python3-venv gcc" in output
    assert "note: uncommitted changes" in output
    assert "a third block" not in output
    assert output.splitlines()[-1].startswith("=== passed after")


@pytest.mark.needs("git")
@pytest.mark.parametrize(
    ("demo", "test", "status", "text"),
    [
        (f"{DEMO}; exit 3", "true", 3, "demo.html"),
        ("true", "true", 1, "demo.html is no finished HTML file"),
        ("echo '<html>' > demo.html", "true", 1, "demo.html is no finished HTML file"),
        (DEMO, "exit 5", 5, "exit 5"),
        (f"{DEMO}\ntrue", "true", 1, "not one line each"),
        (DEMO, "", 1, "not one line each"),
    ],
    ids=["demo fails", "no report", "cut report", "tests fail", "two lines", "no line"],
)
def test_newcomer_fails(project: Project, demo: str, test: str, status: int, text: str) -> None:
    project.commit(README.format(demo=demo, test=test).replace("\n\n```", "\n```"))
    found, output = project.run("newcomer")
    assert found == status
    assert text in output
    assert output.splitlines()[-1].startswith("=== FAILED after")


@pytest.mark.needs("git")
def test_missing_packages_are_installed_and_only_those(project: Project) -> None:
    project.program("dpkg-query", 'test "$4" = gcc && echo install ok installed')
    project.program("sudo", 'shift; exec "$@"')
    project.program("apt-get", 'echo apt-get "$@"')
    project.commit(README.format(demo=DEMO, test="true"))
    _, output = project.run("newcomer")
    update, install = [line.split() for line in output.splitlines() if line.startswith("apt-get")]
    assert update[1] == "update"
    assert install[1] == "install"
    assert "python3-venv" in install
    assert "gcc" not in install


@pytest.mark.needs("git")
@pytest.mark.parametrize(
    ("lane", "data", "sentence"),
    [
        ("newcomer", "absent", "no real data at absent: set SECUREFL_DATA to its folder"),
        ("express", "../data", "express is no lane: newcomer or strict"),
    ],
)
def test_bad_settings_are_named(project: Project, lane: str, data: str, sentence: str) -> None:
    project.commit(README.format(demo=DEMO, test="true"))
    status, output = project.run(lane, SECUREFL_DATA=data)
    assert status == 1
    assert sentence in output


@pytest.mark.needs("git")
def test_interrupted_run_ends_its_step_and_cleans_up(project: Project) -> None:
    project.commit(README.format(demo="echo started; sleep 60", test="true"))
    process = project.start("newcomer")
    assert process.stdout is not None
    while process.stdout.readline() != "started\n":
        assert process.poll() is None
    process.terminate()
    process.communicate(timeout=20)  # returns once nobody holds the pipe: the sleeping step is gone too
    assert process.returncode == 143
    assert not list(project.temporary.iterdir())
