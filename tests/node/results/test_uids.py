"""UIDs: derived, stable, legal."""

import dataclasses

from pydicom.uid import UID

from node.identity import IMPLEMENTATION_CLASS_UID
from node.results import uids
from tests.node.results.sources import PROVENANCE, ct_source


def test_the_same_inputs_give_the_same_uid_and_others_give_another() -> None:
    made = {uids.object_uid(key, role, i) for key in "ab" for role in ("sr", "seg") for i in (0, 1)}
    assert len(made) == 8
    assert uids.object_uid("a", "sr", 0) in made


def test_every_uid_is_legal_and_derived_from_a_uuid() -> None:
    source = ct_source()
    for uid in (
        uids.object_uid("key", "seg"),
        uids.tracking_uid(source, "lungs", "left_lung"),
        uids.device_uid("lungs", "1"),
        UID(IMPLEMENTATION_CLASS_UID),
    ):
        assert uid.is_valid
        assert uid.startswith("2.25.")
        assert int(uid.removeprefix("2.25.")) < 2**128


def test_a_tracking_uid_survives_a_new_job_on_more_images_of_the_series() -> None:
    whole = ct_source()
    part = dataclasses.replace(whole, headers=whole.headers[:4], frames=whole.frames[:4])
    analyzer = PROVENANCE.analyzer
    assert uids.tracking_uid(whole, analyzer, "x") == uids.tracking_uid(part, analyzer, "x")


def test_a_tracking_uid_tells_series_analyzers_and_findings_apart() -> None:
    source, other = ct_source(), ct_source(SeriesInstanceUID="2.25.99")
    made = {
        uids.tracking_uid(source, "lungs", "left"),
        uids.tracking_uid(source, "lungs", "right"),
        uids.tracking_uid(source, "bones", "left"),
        uids.tracking_uid(other, "lungs", "left"),
    }
    assert len(made) == 4


def test_a_new_version_of_an_algorithm_is_a_new_device() -> None:
    assert uids.device_uid("lungs", "1.0") != uids.device_uid("lungs", "1.1")


def test_the_frame_of_reference_is_kept_and_derived_only_where_there_is_none() -> None:
    assert uids.frame_of_reference_uid(ct_source()) == "2.25.73"
    bare = uids.frame_of_reference_uid(ct_source(FrameOfReferenceUID=None))
    assert bare == uids.frame_of_reference_uid(ct_source(FrameOfReferenceUID=None))
    assert bare != "2.25.73"


def test_a_retrained_model_is_a_new_device_and_so_is_another_node() -> None:
    made = {
        uids.device_uid("lungs", "1.0", weights, serial)
        for weights in ("", "w1", "w2")
        for serial in ("", "s1", "s2")
    }
    assert len(made) == 9
