"""One sync settles an instance: the seal proves it whole, and gives a lost name back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.instances import InstanceStore
from storage.quarantine import RefusalKind
from storage.records import Outcome, Placement
from storage.seal import PREAMBLE, sealed_uid
from tests.instances import incoming
from tests.storage.test_instances import header, put


def lose_final_name(store: InstanceStore, placement: Placement) -> None:
    """What a power cut does to a name that was not synced."""
    store.path(placement.key).unlink()


def syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is synced from now on."""
    seen: list[str] = []
    for name in ("fsync", "fdatasync"):
        real = getattr(os, name)

        def spy(descriptor: int, real: object = real) -> None:
            seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            real(descriptor)  # type: ignore[operator]

        monkeypatch.setattr(os, name, spy)
    return seen


@pytest.mark.parametrize("size", [0, 1, 36_000, 700_000])
def test_a_lost_final_name_comes_back_with_every_byte(store: InstanceStore, size: int) -> None:
    data = os.urandom(size)
    placement = put(store, "1.2.3", data)
    lose_final_name(store, placement)
    again = InstanceStore(store.root, store.quarantine)
    [(name, path)] = again.unindexed()
    assert (name, path.samefile(again.path(placement.key))) == (placement.incoming, True)
    assert again.verify(placement.key, placement.sha256)
    assert path.read_bytes().endswith(data)


@pytest.mark.parametrize("damage", ["cut", "longer", "changed", "zeros", "seal"])
def test_a_torn_file_is_not_taken_for_an_instance(store: InstanceStore, damage: str) -> None:
    placement = put(store, "1.2.3", os.urandom(36_000))
    path = store.incoming / placement.incoming
    lose_final_name(store, placement)
    whole = path.read_bytes()
    torn = {
        "cut": whole[:-1],
        "longer": whole + b"\0",
        "changed": whole[:-1] + bytes([whole[-1] ^ 1]),
        "zeros": whole[:20_000] + bytes(len(whole) - 20_000),
        "seal": bytes(PREAMBLE) + whole[PREAMBLE:],
    }[damage]
    path.write_bytes(torn)
    assert store.unindexed() == []
    assert incoming(store) == [] == list(store.iterate())


def test_what_was_being_received_bears_no_seal(store: InstanceStore) -> None:
    with store.open_incoming() as file:
        file.write_header(header())
        file.write(b"x" * 1_000_000)
        file.flush()
        assert sealed_uid(file.path) == ""


@pytest.mark.parametrize("size", [1_000, 700_000])
@pytest.mark.parametrize("end", ["another name", "quarantine"])
def test_a_seal_begun_for_one_uid_is_taken_away_again(
    store: InstanceStore, size: int, end: str
) -> None:
    """It is begun for the command's UID; the data set may turn out to have another, or none."""
    with store.open_incoming() as file:
        file.write_header(header())
        file.write(b"x" * size)
        file.begin_to_place("1.2.3")
        assert sealed_uid(file.path) == "1.2.3"
        if end == "quarantine":
            kept = store.quarantine / file.quarantine(RefusalKind.UNREADABLE)
            assert sealed_uid(kept) == ""
            assert kept.read_bytes() == header() + b"x" * size
        else:
            placement = file.place("1.2.4")
            assert sealed_uid(store.path(placement.key)) == "1.2.4"
            assert not store.path(store.key_of("1.2.3")).exists()


def test_of_two_sealed_files_of_one_uid_neither_is_lost(store: InstanceStore) -> None:
    """Two senders at once, and a power cut that took both names."""
    first = put(store, "1.2.3", b"one")
    lose_final_name(store, first)
    second = put(store, "1.2.3", b"two")
    lose_final_name(store, second)
    [(_, path)] = store.unindexed()
    [aside] = store.quarantine.iterdir()
    assert {path.read_bytes()[-3:], aside.read_bytes()[-3:]} == {b"one", b"two"}


def test_a_new_instance_costs_one_sync(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "1.1", b"makes the ready names")
    seen = syncs(monkeypatch)
    placement = put(store, "1.2", b"data set")
    assert placement.outcome is Outcome.NEW
    assert seen == [placement.incoming]


def test_final_names_are_synced_before_the_second_links_go(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    placements = [put(store, f"1.{number}", b"data set") for number in range(20)]
    seen = syncs(monkeypatch)
    real = store.forget_incoming
    monkeypatch.setattr(
        store, "forget_incoming", lambda name: (seen.append("forgotten"), real(name))
    )
    store.settle(placements)
    shards = sorted({one.key[:2] for one in placements})
    assert seen == shards + ["forgotten"] * 20
    assert incoming(store) == []


def test_without_sync_nothing_is_synced(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = syncs(monkeypatch)
    unsynced = InstanceStore(store.root, store.quarantine, sync=False)
    placement = put(unsynced, "1.2", b"data set")
    assert put(unsynced, "1.2", b"data set").outcome is Outcome.SAME
    assert put(unsynced, "1.2", b"other").outcome is Outcome.CONFLICT
    unsynced.settle([placement])
    assert seen == []


def test_a_sync_that_fails_places_nothing(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fdatasync(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with pytest.raises(Exception, match="Input/output error"):
        put(store, "1.2", b"data set")
    assert list(store.iterate()) == [] == incoming(store)
