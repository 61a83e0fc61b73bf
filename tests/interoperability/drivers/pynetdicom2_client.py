"""pynetdicom2: C-FIND, C-GET, C-MOVE to itself."""

import pydicom
from driving import target, tell
from pynetdicom2 import sopclass, statuses, uids
from pynetdicom2.applicationentity import AE, ClientAE
from pynetdicom2.sopclass import qr_find_scu, qr_get_scu, qr_move_scu, storage_scp

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


class Getting(ClientAE):
    def on_receive_store(self, context, data_set) -> statuses.Status:
        return statuses.SUCCESS


def get() -> dict[str, list[str]]:
    client = Getting("PYNETDICOM2").add_scu(qr_get_scu)
    client.add_scu(sopclass.storage_scu, [pydicom.uid.UID(one) for one in there.sop_classes])
    with client.request_association(remote) as association:
        service = association.get_scu(uids.STUDY_ROOT_GET_SOP_CLASS)
        asked = keys("STUDY", StudyInstanceUID=there.study)
        return {"instances": [str(one.SOPInstanceUID) for _, one in service(asked, 1)]}


class Receiving(AE):
    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.received = []

    def on_receive_store(self, context, data_set) -> statuses.Status:
        self.received.append(str(pydicom.dcmread(data_set).SOPInstanceUID))
        return statuses.SUCCESS


def move() -> dict[str, list[str]]:
    receiver = Receiving(there.own_ae_title, there.own_port).add_scp(storage_scp)
    receiver.add_scu(qr_move_scu)
    with receiver, receiver.request_association(remote) as association:
        service = association.get_scu(uids.STUDY_ROOT_MOVE_SOP_CLASS)
        asked = keys("STUDY", StudyInstanceUID=there.study)
        for _ in service(asked, there.own_ae_title, 1):
            pass
    return {"instances": receiver.received}


tell(find=find, get=get, move=move)
