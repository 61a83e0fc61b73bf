"""Faults of an analyzer in its author's words, and a plain sentence for the radiologist."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from analyzers import registry
from analyzers.contract import InputContract, Limits
from analyzers.registry import BrokenAnalyzer
from node.commands import author
from node.work.executor import Outcome, Ticket, Verdict
from node.work.job import loaded, perform
from node.work.reasons import first_line
from tests.node.work.conftest import ticket

PYTHONS_WORDS = re.compile(r"object has no attribute|Error:|NoneType|positional argument|<class")

FAULTS = {
    "none": "analyze() returned None: return Findings((…,))",
    "array": "analyze() returned an array of uint8 (30, 64, 48): return Findings((…,))",
    "list": "analyze() returned a list: return Findings((…,))",
    "one item": "items is of type Measurement: give a tuple of findings: Findings((one,))",
    "dict item": "items[0] is a dict: give a finding of analyzers.contract",
    "text remarks": "remarks is a text: give a tuple",
    "text code": 'items[0] (Measurement).unit is a text: give a Code("118565006", "SCT", "Volume")',
    "text value": "items[0] (Measurement).value is a text: give a number: float(…)",
    "array value": "items[0] (Measurement).value is an array of float64 (3,): give a number",
    "infinite value": "items[0] (Measurement).value is infinite: leave it out, or give nan",
    "empty code": "items[0] (Measurement).unit.value is empty",
    "long meaning": "items[0] (Measurement).name.meaning has 65 characters: at most 64 fit",
    "bool labels": 'labels is bool: uint8 or uint16 is needed: labels.astype("uint8")',
    "other grid": "labels has shape (29, 64, 48): the grid of the images is (30, 64, 48)",
    "unknown label": "items[0] (Segmentation).labels holds 3, which no segment has as its number",
    "same number": "two segments of items[0] (Segmentation) have the same number: each needs its",
    "number 0": "segments[0].number is 0: give one of 1 to 65535",
    "number 70000": "segments[0].number is 70000: give one of 1 to 65535",
    "in two layers": "further[0] holds 1, as another label image: each is in one of them",
    "unknown in a layer": "further[0] holds 2, which no segment has as its number",
    "further of text": "items[0] (Segmentation).further[0] is a text: give a numpy array",
    "probability of whole numbers": "probabilities is uint8: give shares as float",
    "probability of percent": "(Segmentation).probabilities holds values outside of 0 to 1",
    "probability off grid": "probabilities has shape (1, 2, 3): the grid of the images is",
    "probability of nothing": "(Segmentation).probabilities is the key of no segment",
    "probability in a tuple": "items[0] (Segmentation).probabilities is a tuple: give a dict",
    "text kind": "items[0] (Segmentation).segments[0].kind is a text: give a Code",
    "no label": "items[0] (Segmentation).segments[0].label is None: give a text",
    "text colour": "items[0] (Segmentation).segments[0].rgb is a text: give a tuple",
    "text measurement": "segments[0].measurements[0] is a text: give a Measurement",
    "derived of text": "items[0] (DerivedImage).values is a text: give a numpy array",
    "derived off grid": "values has shape (30, 63, 48): the grid of the images is (30, 64, 48)",
    "derived nan": "items[0] (DerivedImage).values holds nan or infinity: give every voxel",
    "derived bool": "items[0] (DerivedImage).values is bool: give real numbers",
    "colour floats": "items[0] (ColorImage).values is float64: uint8 is needed",
    "map nan": "items[0] (ParametricMap).values holds nan or infinity",
    "box outside": "items[0] (Detection) lies outside of the images: first and last are inclusive",
    "box of two": "items[0] (Detection).first has 2 entries: 3 are needed",
    "box of halves": "items[0] (Detection).first[2] is of type float: give a whole number: int(…)",
    "probability 70": "items[0] (Classification).probability is 70: give a share between 0 and 1",
    "unknown role": "items[0] (Registration).role is none of volume.companions (empty)",
    "shades": "items[0] (WindowPreset).shades.low is not below items[0] (WindowPreset).shades.high",
    "write": "volume.stored must not be written to: work on volume.values() or a copy",
}


@pytest.mark.parametrize(("answer", "sentence"), FAULTS.items())
def test_what_breaks_the_contract_is_said_in_the_authors_words(
    plugins: None, tmp_path: Path, phantom_paths: list[Path], answer: str, sentence: str
) -> None:
    failed = perform(ticket("broken", tmp_path, phantom_paths, answer=answer), "cpu")
    loaded.cache_clear()
    assert failed.verdict is Verdict.FAILED
    assert not failed.transient
    assert sentence in failed.reason
    if answer != "write":
        assert failed.reason.startswith("the analyzer breaks the contract: ")
        assert not PYTHONS_WORDS.search(failed.reason)
    assert "Traceback" in failed.traceback


def report_of(failed: Outcome, one: Ticket) -> str:
    """The text of the report that the node writes about a failure."""
    told = failed.told or first_line(failed.reason)
    written = perform(one.as_notice(Verdict.FAILED, (told,)), "cpu")
    (report,) = written.results.objects
    return (one.place.folder.parent / report.key).read_bytes().decode("utf-8", "replace")


@pytest.mark.parametrize("name", ["broken", "raise", "exiting"])
def test_the_report_says_plainly_that_the_program_is_at_fault_and_where_more_stands(
    plugins: None, tmp_path: Path, phantom_paths: list[Path], name: str
) -> None:
    one = ticket(name, tmp_path, phantom_paths)
    text = report_of(perform(one, "cpu"), one)
    assert "The program that analyzes" in text
    assert "status page" in text
    for word in ("Findings", "ZeroDivision", "contract", "SystemExit", "Traceback"):
        assert word not in text


@dataclass
class AnyParameters:
    size: int = 1


@dataclass
class NeedyParameters:
    size: int


class Sound:
    name, version, title = "sound", "1.0.0", "Sound"
    inputs = InputContract(modalities=frozenset({"CT"}))
    limits = Limits()
    parameters = AnyParameters

    def __init__(self, device: str) -> None:
        self.device = device

    def analyze(self, volume: object, parameters: object) -> object: ...


def _without(part: str) -> type:
    return type("Unfit", (), {k: v for k, v in vars(Sound).items() if k != part})


def _with(**parts: object) -> type:
    return type("Unfit", (Sound,), parts)


CLASSES = [
    (_without("inputs"), "it lacks inputs: add which series it reads: an InputContract"),
    (_without("parameters"), "it lacks parameters: add the dataclass of its parameters"),
    (_without("analyze"), "it lacks analyze: add the method that analyzes"),
    (Sound("cpu"), "the entry point leads to no class: register it as module:ClassName"),
    (_with(title=None), "title is None: give what a person calls it, as text"),
    (_with(version=1), "version is of type int: give its version, as text"),
    (_with(title="t" * 65), "title has 65 characters: at most 64 can be written"),
    (_with(inputs="CT"), "inputs is of type str: give an InputContract"),
    (_with(inputs=InputContract("CT")), "inputs.modalities is no set of texts: write frozenset"),
    (_with(inputs=InputContract(frozenset())), "inputs.modalities is empty: no series would"),
    (_with(limits={"time_s": 3}), "limits is of type dict: give Limits(time_s=…, memory_mb=…)"),
    (_with(limits=Limits(0, 100)), "limits.time_s is no number above 0"),
    (_with(parameters=None), "parameters is no dataclass: give the class itself"),
    (_with(parameters={"a": 1}), "parameters is no dataclass: give the class itself"),
    (_with(parameters=NeedyParameters), "the parameter size has no default: every parameter"),
    (_with(__init__=lambda self: None), "it cannot be built with a device: write def __init__"),
    (_with(analyze=lambda self, volume: None), "analyze() takes other arguments: write def"),
    (_with(analyze=3), "analyze is no method: write def analyze(self, volume, parameters)"),
    (_with(companions=("pet",)), "companions is no mapping: write {role: InputContract(…)}"),
    (_with(companions={"pet": "PT"}), "companions['pet'] is of type str: give an InputContract"),
    (_with(after="quality"), "after is no tuple of names: write after ="),
    (_with(family="threshold"), "family is of type str: give a Code of CID 7162"),
]


class Entry:
    """An entry point that leads to a given object."""

    value = "plugin:Unfit"

    def __init__(self, found: object) -> None:
        self._found = found

    def load(self) -> object:
        return self._found


@pytest.mark.parametrize(("found", "sentence"), CLASSES)
def test_a_class_that_cannot_be_an_analyzer_is_refused_with_what_to_change(
    monkeypatch: pytest.MonkeyPatch, found: object, sentence: str
) -> None:
    monkeypatch.setattr(registry, "_entries", lambda: {"sound": Entry(found)})
    registry.load.cache_clear()
    with pytest.raises(BrokenAnalyzer) as refused:
        registry.info("sound")
    registry.load.cache_clear()
    assert sentence in str(refused.value)


def test_a_sound_class_is_an_analyzer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_entries", lambda: {"sound": Entry(Sound)})
    registry.load.cache_clear()
    assert registry.info("sound").defaults == {"size": 1}
    registry.load.cache_clear()


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("glutton", "memory limit exceeded"),
        ("hang", "time limit exceeded"),
        ("segfault", "killed by SIGSEGV"),
    ],
)
def test_the_analyze_command_holds_an_analyzer_to_the_limits_of_the_node(
    plugins: None,
    phantom_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    said: str,
) -> None:
    assert author.analyze(phantom_folder, name, tmp_path / "out", "cpu", []) == 1
    assert said in capsys.readouterr().out


@pytest.mark.timeout(150)
def test_the_analyze_command_shows_what_an_analyzer_wrote_and_left(
    plugins: None, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert author.analyze(phantom_folder, "messy", out, "cpu", ["mess=print"]) == 0
    assert "DOE^JOHN 4711" in capsys.readouterr().out
    assert author.analyze(phantom_folder, "messy", out, "cpu", ["mess=directory"]) == 0
    assert "it left behind: the working directory" in capsys.readouterr().out
    assert not (out / "results.json").exists(), "what was written before is not found again"
