"""A configured device becomes one that is there, or an error that says what is."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from analyzers import devices

NO_DRIVER = OSError("libcuda.so.1: cannot open shared object file")


def _torch(devices_there: int) -> SimpleNamespace:
    cuda = SimpleNamespace(
        is_available=lambda: devices_there > 0, device_count=lambda: devices_there
    )
    return SimpleNamespace(cuda=cuda)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise NO_DRIVER

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(devices, "_ROCM_DEVICE", tmp_path / "kfd")


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        ("auto", 2, "cuda:0"),
        ("auto", 0, "cpu"),
        ("cpu", 2, "cpu"),
        ("cuda", 1, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_device_is_one_that_torch_can_use(
    monkeypatch: pytest.MonkeyPatch, wanted: str, there: int, found: str
) -> None:
    monkeypatch.setitem(sys.modules, "torch", _torch(there))
    assert devices.resolve(wanted) == found


@pytest.mark.usefixtures("driver")
def test_one_that_is_not_there_is_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", _torch(1))
    with pytest.raises(devices.DeviceMissing, match=r"cuda:1 was asked for, .* has 1 CUDA devices"):
        devices.resolve("cuda:1")
    with pytest.raises(devices.DeviceMissing, match="'gpu' is no device: use auto, cpu, cuda or"):
        devices.resolve("gpu")


@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would fail
    assert devices.resolve("auto") == "cpu"
    with pytest.raises(devices.DeviceMissing, match="has 0 CUDA devices"):
        devices.resolve("cuda")


@pytest.mark.usefixtures("no_driver")
def test_amds_driver_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kfd").touch()
    monkeypatch.setitem(sys.modules, "torch", _torch(1))
    assert devices.resolve("auto") == "cuda:0"
