"""TOML to a configuration: what is read, and one sentence for what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.config import Cohort, Config, load, load_preset, override, parse, preset_names
from securefl.config.loading import _PRESETS
from securefl.errors import ConfigurationError


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_empty_file_is_the_defaults() -> None:
    assert parse("") == Config()


def test_a_file_sets_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[cohort]\nclients = 40\nseed = 7\n[training]\nlearning_rate = 1\n", encoding="utf-8")
    assert load(path) == override(Config(), {"cohort.clients": 40, "cohort.seed": 7, "training.learning_rate": 1.0})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[cohort]\nclient = 3", "cohort.client: no such setting; the nearest one is cohort.clients"),
        ("[secag]\nkem = 'x25519'", "secag: no such setting; the nearest one is secagg"),
        (
            "[training]\nlearnin_rate = 1",
            "training.learnin_rate: no such setting; the nearest one is training.learning_rate",
        ),
        (
            "[training]\nstrategy = 'MIFA'",
            "training.strategy: got 'MIFA'; use 'FedAvg' or 'FedProx' or 'FedSubAvg' or 'SubmodelAvg' (FedLaAvg and "
            "MIFA keep an update of the whole model for each client; they are reached from Python, "
            "securefl.engine.latest)",
        ),
        ("[cohort]\nclients = 2", "cohort.clients: got 2; use a whole number of at least 3"),
        ("[cohort]\nclients = '40'", "cohort.clients: got '40'; use a whole number of at least 3"),
        ("[cohort]\nclients = true", "cohort.clients: got True; use a whole number of at least 3"),
        ("[cohort]\nclients = 40.5", "cohort.clients: got 40.5; use a whole number of at least 3"),
        ("[cohort]\nrounds = 0", "cohort.rounds: got 0; use a whole number of at least 1"),
        ("[cohort]\ndropout = 1.0", "cohort.dropout: got 1.0; use a number of at least 0 and below 1"),
        ("[cohort]\ndropout = nan", "cohort.dropout: got nan; use a number of at least 0 and below 1"),
        ("[cohort]\nseed = -1", f"cohort.seed: got -1; use a whole number of at least 0 and at most {2**63 - 1}"),
        ("[secagg]\nkem = 'rsa'", "secagg.kem: got 'rsa'; use 'x25519' or 'x25519-mlkem768'"),
        ("[secagg]\nsetting = 'honest'", "secagg.setting: got 'honest'; use 'malicious' or 'semi_honest'"),
        ("[secagg]\nring_bits = 65", "secagg.ring_bits: got 65; use a whole number of at least 8 and at most 64"),
        ("[union]\nfalse_positive_rate = 0.0", "union.false_positive_rate: got 0.0; use a number above 0 and below 1"),
        ("[training]\nclip = inf", "training.clip: got inf; use a number above 0 and at most 1000000"),
        ("[privacy]\nresponse = 0.875", "privacy.response: got 0.875; use a text"),
        ("cohort = 3", "cohort: got 3; use a section, [cohort], with settings under it"),
    ],
)
def test_a_refusal_names_the_setting_what_it_got_and_what_it_takes(text: str, sentence: str) -> None:
    assert refusal(text) == sentence


def test_broken_toml_is_one_sentence_with_its_place() -> None:
    assert refusal("[cohort\n").startswith("configuration: not TOML: ")


PIECES = [
    *"[]{}'\"=.,#\n",
    '"""',
    "[cohort]",
    "clients",
    "9" * 5000,
    "[" * 3000,
    "1e999",
    "nan",
    "2020-02-30",
    "\0",
    "\ud800",
]


@settings(max_examples=150)
@given(random=st.randoms(use_true_random=False), preset=st.sampled_from([*preset_names(), None]))
def test_e3_any_text_is_a_configuration_or_one_sentence(random: Any, preset: str | None) -> None:
    """A preset with pieces put in and taken out, or such pieces alone."""
    text = "" if preset is None else (_PRESETS / f"{preset}.toml").read_text()
    for _ in range(random.randint(1, 4)):
        at, skipped = random.randint(0, len(text)), random.choice([0, 0, 1, 5])
        text = text[:at] + random.choice(PIECES) + text[at + skipped :]
    try:
        config = parse(text)
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017 - some texts are configurations
    else:
        assert isinstance(config, Config)


def test_e3_what_no_reader_of_toml_takes_is_one_sentence() -> None:
    for text in (f"[cohort]\nclients = {'9' * 5000}", f"a = {'[' * 3000}", f"a = {'{a=' * 3000}"):
        assert refusal(text).startswith("configuration: not TOML: ")
    assert refusal("[secagg]\nkem = '\ud800'") == "configuration: a text in it is not Unicode; type it anew"


def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigurationError, match=reason):
            load(path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xe9")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(latin)


NAMES = [f"{name}.{key}" for name, table in msgspec.to_builtins(Config()).items() for key in table]
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.lists(st.integers()))


@given(st.sampled_from(NAMES), VALUES)
def test_any_value_is_taken_or_refused_by_name(name: str, value: object) -> None:
    try:
        config = override(Config(), {name: value})
    except ConfigurationError as error:
        sentence = str(error)
    else:
        sentence = f"{name}: got {value!r}; use "
        section, key = name.split(".")
        assert getattr(getattr(config, section), key) == value
    assert sentence.startswith(f"{name}: got {value!r}; use ")


def test_override_refuses_what_a_file_would() -> None:
    for name, sentence in (
        ("clients", "clients: a setting is named section.key"),
        ("cohort.clint", "cohort.clint: no such setting"),
        ("nowhere.clients", "nowhere: no such setting"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{sentence}"):
            override(Config(), {name: 5})


def test_override_leaves_the_original_alone() -> None:
    config = Config()
    assert override(config, {"cohort.clients": 7}).cohort.clients == 7
    assert config.cohort.clients == 100
    with pytest.raises(AttributeError):
        config.cohort.clients = 7  # type: ignore[misc]  # frozen: that is what is tested


def test_presets_ship_with_the_package() -> None:
    assert preset_names() == ("paper", "small", "taobao")
    assert load_preset("small").data.generator == "small"
    with pytest.raises(ConfigurationError, match="use one of paper, small, taobao"):
        load_preset("../small")


def test_the_paper_preset_is_the_released_setting() -> None:
    """Their code: n 100, t floor(n/2) + 1, cells and sums modulo 2**32, 2**15 levels in [-1, 1], SGD 1.0 x 0.999."""
    paper = load_preset("paper")
    assert (paper.cohort.clients, paper.threshold, paper.row_floor) == (100, 51, 1)
    assert (paper.secagg.kem, paper.secagg.ring_bits, paper.union.bits) == ("x25519", 32, 32)
    training = paper.training
    assert (training.dim, training.batch, training.epochs, training.clip, training.scale) == (18, 2, 1, 0.1, 1.0)
    assert (training.learning_rate, training.decay, training.quantization_bits) == (1.0, 0.999, 15)


@pytest.mark.parametrize("name", preset_names())
def test_the_settings_of_a_summary_resolve_every_default_and_read_back(name: str) -> None:
    config = load_preset(name)
    settings = config.settings()
    assert settings["secagg"]["threshold"] == config.threshold
    assert settings["secagg"]["colluders"] == config.colluders
    assert settings["privacy"].pop("row_floor") == config.row_floor
    again = msgspec.convert(settings, Config)
    assert again.settings() == config.settings()
    assert (again.cohort, again.training) == (config.cohort, config.training)


def test_a_section_made_in_python_is_the_same_as_one_read() -> None:
    assert parse("[cohort]\nclients = 9").cohort == Cohort(clients=9)
