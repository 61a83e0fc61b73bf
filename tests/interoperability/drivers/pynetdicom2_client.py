"""pynetdicom2: C-FIND, C-GET, C-MOVE to itself."""

import pydicom
from driving import target, tell
from pynetdicom2 import statuses, uids
from pynetdicom2.applicationentity import AE, ClientAE
from pynetdicom2.sopclass import qr_find_scu, qr_get_scu, qr_move_scu, sop_classes, storage_scp

there = target()
remote = {"aet": there.ae_title, "address": there.host, "port": there.port}


def keys(level: str, **values: str) -> pydicom.Dataset:
    identifier = pydicom.Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(identifier, keyword, value)
    return identifier


def found(level: str, wanted: str, **values: str) -> list[str]:
    client = ClientAE("PYNETDICOM2").add_scu(qr_find_scu)
    with client.request_association(remote) as association:
        service = association.get_scu(uids.STUDY_ROOT_FIND_SOP_CLASS)
        answers = service(keys(level, **{wanted: ""}, **values), 1)
        return [str(getattr(one, wanted)) for one, status in answers if status.is_pending]


def find() -> dict[str, list[str]]:
    return {
        "studies": found("STUDY", "StudyInstanceUID", PatientID=there.patient_id),
        "series": found("SERIES", "SeriesInstanceUID", StudyInstanceUID=there.study),
        "instances": [
            uid
            for series in there.series
            for uid in found(
                "IMAGE",
                "SOPInstanceUID",
                StudyInstanceUID=there.study,
                SeriesInstanceUID=series,
            )
        ],
    }


@sop_classes([pydicom.uid.UID(one) for one in there.sop_classes])
def stored(association, context, message) -> None:
    """pynetdicom2's own, of no more classes than an association has contexts."""
    storage_scp(association, context, message)


stored.store_in_file = True


class Receiving(AE):
    """Takes by role selection, and over a port where it is started."""

    def __init__(self, port: int) -> None:
        super().__init__(there.own_ae_title, port)
        self.add_scp(stored)
        self.received = []

    def on_receive_store(self, context, data_set) -> statuses.Status:
        data_set.seek(0)
        self.received.append(str(pydicom.dcmread(data_set).SOPInstanceUID))
        return statuses.SUCCESS


def get() -> dict[str, list[str]]:
    client = Receiving(0).add_scu(qr_get_scu)
    with client.request_association(remote) as association:
        service = association.get_scu(uids.STUDY_ROOT_GET_SOP_CLASS)
        for _ in service(keys("STUDY", StudyInstanceUID=there.study), 1):
            pass
    return {"instances": client.received}


def move() -> dict[str, list[str]]:
    client = Receiving(there.own_port).add_scu(qr_move_scu)
    with client, client.request_association(remote) as association:
        service = association.get_scu(uids.STUDY_ROOT_MOVE_SOP_CLASS)
        asked = keys("STUDY", StudyInstanceUID=there.study)
        for _ in service(asked, there.own_ae_title, 1):
            pass
    return {"instances": client.received}


tell(find=find, get=get, move=move)
