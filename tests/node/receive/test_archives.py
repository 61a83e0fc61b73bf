"""ZIP archives: what may be read of one is known before anything is; what is wrong has a name."""

from __future__ import annotations

import io
import random
import zipfile

import pytest

from node.receive import archives
from node.receive.archives import Allowance, ArchiveFault
from tests.zips import encrypted, zipped


def contents(data: bytes) -> dict[str, bytes]:
    """Raises ArchiveFault."""
    with archives.opened(io.BytesIO(data), len(data), Allowance(len(data))) as archive:
        return {one.name: b"".join(archive.pieces(one)) for one in archive.members}


def test_files_come_out_as_they_were_packed_and_folders_do_not() -> None:
    files = {"A/B/1": b"one" * 100_000, "A/2": b"", "3": b"three"}
    assert contents(zipped(files | {"A/": b""})) == files


def test_an_archive_that_would_fill_the_disk_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "ALWAYS_BYTES", 1000)
    bomb = zipped({"zeros": bytes(4 * 2**20)})
    with pytest.raises(ArchiveFault, match="100 times its size"):
        contents(bomb)


def test_what_archives_within_hold_counts_for_the_outer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "ALWAYS_BYTES", 1000)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    allowance = Allowance(1)
    allowance.take(2, 900)
    with pytest.raises(ArchiveFault, match="times its size"):
        allowance.take(1, 200)
    with pytest.raises(ArchiveFault, match="more than 3 files"):
        Allowance(1).take(4, 0)


def test_files_that_share_their_bytes_are_refused() -> None:
    data = zipped({"a": random.Random(1).randbytes(4000), "b": b"b"}, zipfile.ZIP_STORED)
    begin = data.rfind(b"PK\x01\x02", 0, data.rfind(b"PK\x01\x02"))
    entry, rest = data[begin : begin + 47], data[begin:]
    end = data.rfind(b"PK\x05\x06")
    more = bytearray(data[:begin] + entry * 3 + rest)
    at = end + len(entry) * 3
    more[at + 8 : at + 12] = (5).to_bytes(2, "little") * 2
    more[at + 12 : at + 16] = (end - begin + len(entry) * 3).to_bytes(4, "little")
    with pytest.raises(ArchiveFault, match="over each other"):
        contents(bytes(more))


def test_a_directory_too_long_to_be_read_is_not() -> None:
    data = bytearray(zipped({"a": b"a"}))
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = (2**31).to_bytes(4, "little")
    with pytest.raises(ArchiveFault, match="files are in it"):
        contents(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_named(method: int) -> None:
    with pytest.raises(ArchiveFault, match=f"packed by method {method}"):
        contents(zipped({"a": b"a" * 100}, method))


def test_encrypted_files_are_counted_and_not_read() -> None:
    data = encrypted(zipped({"a": b"a", "b": b"b"}))
    with archives.opened(io.BytesIO(data), len(data), Allowance(0)) as archive:
        assert (archive.members, archive.encrypted) == ((), 2)


def test_a_file_whose_checksum_is_wrong_says_so_at_its_end() -> None:
    data = bytearray(zipped({"a": b"a" * 1000}, zipfile.ZIP_STORED))
    data[200] ^= 1
    with pytest.raises(ArchiveFault, match="damaged"):
        contents(bytes(data))


def test_an_archive_that_was_cut_off_is_named() -> None:
    data = zipped({"a": random.Random(2).randbytes(1000)})
    with pytest.raises(ArchiveFault, match="end is missing"):
        contents(data[: len(data) // 2])


def test_whatever_is_wrong_with_an_archive_is_a_named_fault() -> None:
    chance = random.Random(3)
    whole = zipped({f"{n}": chance.randbytes(200) + bytes(200) for n in range(4)})
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 8, 255, chance.randrange(256)))
        try:
            contents(bytes(data))
        except ArchiveFault as fault:
            assert str(fault)
