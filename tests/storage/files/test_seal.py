"""One sync settles an instance: the seal proves it whole, and gives a lost name back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from storage.files.incoming import IncomingFile
from storage.files.instances import InstanceStore
from storage.files.seal import PREAMBLE, sealed_uid
from storage.quarantine import RefusalKind
from storage.records import Placement, PutOutcome
from tests.instances import incoming
from tests.storage.files.test_instances import header, put, run_child


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
    assert placement.outcome is PutOutcome.NEW
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
    assert put(unsynced, "1.2", b"data set").outcome is PutOutcome.SAME
    assert put(unsynced, "1.2", b"other").outcome is PutOutcome.CONFLICT
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


# --- two of one UID, and a power cut --------------------------------------------------------------


@contextmanager
def begun(store: InstanceStore, *contents: bytes) -> Iterator[list[IncomingFile]]:
    """Files of one UID at once, as far as others may look at them."""
    with ExitStack() as stack:
        files = []
        for content in contents:
            file = stack.enter_context(store.open_incoming())
            file.write_header(header())
            file.write(content)
            file.begin_to_place("1.2.3")
            files.append(file)
        yield files


@pytest.mark.parametrize("size", [1_000, 700_000])
@pytest.mark.parametrize("winner", [0, 1, 2])
def test_a_power_cut_never_puts_what_was_not_acknowledged_in_the_place_of_what_was(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch, winner: int, size: int
) -> None:
    contents = [bytes([n]) * size for n in range(3)]
    with begun(store, *contents) as files:
        seen = syncs(monkeypatch)
        acknowledged = files[winner].place("1.2.3")
        for other in files:
            other._sync()  # its thread stands before the link
        assert acknowledged.outcome is PutOutcome.NEW
        if acknowledged.key[:2] not in seen:
            lose_final_name(store, acknowledged)
        again = InstanceStore(store.root, store.quarantine)
        [(_, path)] = again.unindexed()
        assert again.verify(acknowledged.key, acknowledged.sha256)
        assert path.read_bytes().endswith(contents[winner])


def test_of_files_of_one_uid_only_one_is_sealed_and_who_has_none_syncs_names(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begun(store, b"one", b"two", b"three") as files:
        assert [sealed_uid(one.path) for one in files] == ["1.2.3", "", ""]
        seen = syncs(monkeypatch)
        placed = files[1].place("1.2.3")
        assert seen[:3] == [files[1].path.name, placed.key[:2], "incoming"]
        assert sealed_uid(store.path(placed.key)) == "1.2.3", "when its names are safe"
        assert files[0].place("1.2.3").outcome is PutOutcome.CONFLICT
        assert files[2].place("1.2.3").outcome is PutOutcome.CONFLICT
    with begun(store, b"four") as [file]:
        assert file.place("1.2.3").outcome is PutOutcome.CONFLICT


def test_whoever_comes_when_another_gave_up_seals_again(store: InstanceStore) -> None:
    with begun(store, b"one") as [first]:
        assert sealed_uid(first.path) == "1.2.3"
    with begun(store, b"two") as [second]:
        assert sealed_uid(second.path) == "1.2.3"


def test_a_file_that_is_given_up_bears_no_seal_that_a_power_cut_could_bring_back(
    store: InstanceStore,
) -> None:
    with begun(store, b"one") as [file]:
        descriptor = os.dup(file._ready.descriptor)
    try:
        assert os.pread(descriptor, PREAMBLE, 0) == bytes(PREAMBLE)
    finally:
        os.close(descriptor)


def test_other_processes_know_what_is_being_placed(store: InstanceStore) -> None:
    script = """
import sys
from pathlib import Path
from storage.files.instances import InstanceStore
from storage.files.seal import sealed_uid
from tests.storage.files.test_instances import header
store = InstanceStore(Path(sys.argv[1]), Path(sys.argv[2]), receiver="receiver2")
with store.open_incoming() as file:
    file.write_header(header())
    file.write(b"two")
    file.begin_to_place("1.2.3")
    print(repr(sealed_uid(file.path)))
"""
    ours = InstanceStore(store.root, store.quarantine, receiver="receiver1")
    with begun(ours, b"one"):
        assert run_child(store, script).stdout.strip() == "''"
    assert run_child(store, script).stdout.strip() == "'1.2.3'"


# --- a copy of the folder -------------------------------------------------------------------------


def test_a_folder_that_was_copied_without_hard_links_still_knows_what_lacks_its_row(
    store: InstanceStore, tmp_path: Path
) -> None:
    """cp -r, rsync -a and most programs that make backups copy each name as a file."""
    placements = [put(store, f"1.2.{number}", os.urandom(5_000)) for number in range(5)]
    store.settle(placements[:2])
    restored = InstanceStore(
        Path(shutil.copytree(store.root, tmp_path / "restored")), tmp_path / "q"
    )
    found = restored.unindexed()
    assert {name for name, _ in found} == {one.incoming for one in placements[2:]}
    for one, (_, path) in zip(
        sorted(placements[2:], key=lambda one: one.incoming), found, strict=True
    ):
        assert path.samefile(restored.path(one.key))
        assert restored.verify(one.key, one.sha256)
    assert list(restored.quarantine.iterdir()) == []
    assert restored.unindexed() == found


# --- the same again -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_000, 100_000, 700_000])
def test_the_same_again_is_compared_and_costs_no_sync(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    data = os.urandom(size)
    first = put(store, "1.2", data)
    ready = incoming_names(store)
    seen = syncs(monkeypatch)
    for _ in range(40):
        assert put(store, "1.2", data).outcome is PutOutcome.SAME
    assert set(seen) <= {"incoming"} and len(seen) <= 2, "names of files that are made ready"
    assert incoming_names(store) == ready, "nothing was written, and no file used up"
    monkeypatch.undo()
    store.path(first.key).write_bytes(store.path(first.key).read_bytes()[:-1] + b"?")
    if data[-1:] != b"?":
        assert put(store, "1.2", data).outcome is PutOutcome.CONFLICT, (
            "a seal alone is not believed"
        )


@pytest.mark.parametrize("size", [300_000, 700_000])
def test_what_seemed_to_come_again_is_kept_whole_where_it_does_not(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """It differs; it is more than is held in memory; or what was there goes meanwhile."""
    monkeypatch.setattr("storage.files.incoming._HELD", 500_000)
    data = os.urandom(size)
    first = put(store, "1.2", data)
    assert put(store, "1.2", data).outcome is PutOutcome.SAME
    other = data[:-1] + bytes([data[-1] ^ 1])
    refused = put(store, "1.2", other)
    assert refused.outcome is PutOutcome.CONFLICT
    assert (store.quarantine / refused.key).read_bytes().endswith(other)
    with store.open_incoming() as file:
        file.write_header(header(), "1.2")
        file.write(data)
        store.withdraw(first)
        placed = file.place("1.2")
    assert placed.outcome is PutOutcome.NEW and placed.sha256 == first.sha256
    assert store.verify(placed.key, placed.sha256)
    assert sealed_uid(store.path(placed.key)) == "1.2"


def incoming_names(store: InstanceStore) -> set[str]:
    return {path.name for path in store.incoming.iterdir()}


def test_what_a_store_without_sync_took_is_synced_before_it_is_confirmed_to_be_safe(
    store: InstanceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsynced = InstanceStore(store.root, store.quarantine, sync=False)
    first = put(unsynced, "1.2", b"data set")
    assert sealed_uid(store.path(first.key)) == "1.2"
    put(store, "1.3", b"makes the ready names")
    seen = syncs(monkeypatch)
    assert put(store, "1.2", b"data set").outcome is PutOutcome.SAME
    assert seen == [Path(first.key).name, first.key[:2], "incoming"]
