"""Each target for a few thousand inputs, from the committed corpus and with one seed; and a planted fault is found."""

import json
from pathlib import Path

import pytest

from lab.fuzz import __main__ as command
from lab.fuzz import evidence
from lab.fuzz.corpus import chosen
from lab.fuzz.driver import COMMITTED, TARGETS, Result, available, fuzz, inputs, read, shares
from lab.fuzz.engines import Wrong
from lab.fuzz.reader import Reader
from lab.fuzz.targets import MAKERS, same
from tests.support import MISSING

RUNS = 3_000
FILES_MAX, BYTES_MAX = 200, 200 * 1024


@pytest.fixture
def fuzzer() -> None:
    """Skip where there is no fuzzer, and say why."""
    if why := available():
        pytest.skip(f"{MISSING}atheris: {why}")


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_thousand_inputs(target: str, tmp_path: Path, fuzzer: None) -> None:
    """A datagram that nobody has thought of would stop a gateway or a client."""
    result = fuzz(target, runs=RUNS, seed=7, folder=tmp_path, corpus=COMMITTED)
    assert not result.crashes, result.said
    assert result.executions >= RUNS
    assert result.edges > 5


@pytest.mark.parametrize("target", TARGETS)
def test_the_committed_corpus(target: str) -> None:
    """What was once found would come back, also where there is no fuzzer."""
    run, known = MAKERS[target](), list(inputs(COMMITTED / target))
    assert known
    for data in known:
        run(data)


def test_the_committed_corpus_is_small() -> None:
    """Every clone would carry what one fuzzer has gathered."""
    files = [path for path in COMMITTED.rglob("*") if path.is_file()]
    assert len(files) <= FILES_MAX
    assert sum(path.stat().st_size for path in files) <= BYTES_MAX
    assert {path.parent.name for path in files} == set(TARGETS)


@pytest.mark.parametrize("target", ["parse", "gateway"])
def test_a_planted_fault_is_found(target: str, tmp_path: Path, fuzzer: None) -> None:
    """The fuzzer would run for days and see nothing, because it does not get there or does not notice."""
    result = fuzz(target, runs=2_000_000, seed=7, folder=tmp_path, corpus=COMMITTED, module="tests.fuzz.planted")  # ends with the find
    assert result.crashes
    assert "IndexError: planted" in result.said
    (crash,) = result.crashes
    MAKERS[target]()((tmp_path / "crashes" / crash).read_bytes())  # without the fault nothing is wrong with it


def test_a_fuzzer_that_ends_badly_is_no_success(tmp_path: Path, fuzzer: None) -> None:
    """A target that cannot start would count as fuzzed."""
    with pytest.raises(RuntimeError, match="KeyError"):
        fuzz("nothing", runs=10, folder=tmp_path)


def test_without_a_fuzzer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a Python without a wheel the command would fail in a way that looks like a finding."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert command.main(["--runs", "10"]) == 2
    assert "atheris is not installed" in capsys.readouterr().err


def test_one_input_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What crashed once could not be looked at."""
    (tmp_path / "one").write_bytes(b"\x04")
    assert command.main(["--input", str(tmp_path / "one"), "--target", "parse"]) == 0
    assert command.main(["--input", str(tmp_path / "none"), "--target", "parse"]) == 2
    assert command.main(["--input", str(tmp_path / "one")]) == 2
    assert "nothing wrong" in capsys.readouterr().out


def test_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fuzzer: None) -> None:
    """A long run that was stopped would begin anew, or count inputs that were never executed."""
    monkeypatch.setattr(command, "WORKING", tmp_path)
    monkeypatch.setattr(evidence, "KEPT", tmp_path / "progress.json")
    monkeypatch.setattr(evidence.write, "__defaults__", (tmp_path / "evidence",))
    argv = ["--target", "health", "--resume", "--json", "--runs"]
    assert command.main([*argv, "2000"]) == 0
    assert command.main([*argv, "3000", "--evidence"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert 2_000 <= first["executions"] < 3_000 <= second["executions"] < 4_000
    written = json.loads((tmp_path / "evidence" / "fuzz.json").read_text())
    assert (written["executions"], written["crashes"]) == (second["executions"], 0)
    assert f"{second['executions']:,} inputs" in (tmp_path / "evidence" / "fuzz.md").read_text()
    monkeypatch.setattr(evidence, "fingerprint", lambda: "other code")
    assert evidence.begin(resume=True)["health"].executions == 0


def test_shares_and_lines() -> None:
    """A run would claim more inputs than were executed, or leave a target out."""
    divided = shares(10_000_000)
    assert set(divided) == set(TARGETS) == set(MAKERS)
    assert 10_000_000 <= sum(divided.values()) <= 10_000_000 + len(TARGETS)
    result = Result("x")
    read("#4096\tREDUCE cov: 30 ft: 31 corp: 6/115b lim: 191 exec/s: 0 rss: 60Mb L: 3/48 MS: 1 ChangeBit-", result)
    assert (result.executions, result.edges, result.features, result.corpus) == (4_096, 30, 31, 6)
    read("stat::number_of_executed_units: 5000", result)
    assert result.executions == 5_000


def test_a_reader_ends() -> None:
    """A short input would raise in the harness, which is no finding."""
    reader = Reader(b"\x05\x00abc")
    assert (reader.chunk(10), reader.left(), reader.byte(), reader.chunk(9)) == (b"abc", False, 0, b"")


def test_a_difference_is_wrong() -> None:
    """A parser that accepts two forms of one message would pass."""
    with pytest.raises(Wrong):
        same(b"1", b"2")


def test_the_corpus_is_reduced_to_what_reaches_most() -> None:
    """The committed corpus would hold copies of one idea, or lose the only input that reaches a line."""
    run, true = MAKERS["parse"](), list(inputs(COMMITTED / "parse"))
    assert set(chosen(run, [], true * 3 + [b"", b"\x07"])) < {*true, b"", b"\x07"}
    assert chosen(run, true, true) == true
