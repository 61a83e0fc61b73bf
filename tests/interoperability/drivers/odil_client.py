"""odil: C-FIND, C-GET, C-MOVE to itself."""

import odil
from driving import target, tell

there = target()
SYNTAXES = [odil.registry.ImplicitVRLittleEndian, odil.registry.ExplicitVRLittleEndian]
Context = odil.AssociationParameters.PresentationContext


def associated(service: str, stored: list[str]) -> odil.Association:
    contexts = [Context(1, service, SYNTAXES, Context.Role.SCU)]
    contexts += [
        Context(2 * number + 3, uid, SYNTAXES, Context.Role.SCP)
        for number, uid in enumerate(stored)
    ]
    association = odil.Association()
    association.set_peer_host(there.host)
    association.set_peer_port(there.port)
    association.update_parameters().set_calling_ae_title(there.own_ae_title).set_called_ae_title(
        there.ae_title
    ).set_presentation_contexts(contexts)
    association.associate()
    return association


def keys(level: str, **values: str) -> odil.DataSet:
    identifier = odil.DataSet()
    identifier.add("QueryRetrieveLevel", [level])
    for keyword, value in values.items():
        identifier.add(keyword, [value] if value else [])
    return identifier


def found(level: str, wanted: str, **values: str) -> list[str]:
    service = odil.registry.StudyRootQueryRetrieveInformationModelFind
    association = associated(service, [])
    finder = odil.FindSCU(association)
    finder.set_affected_sop_class(service)
    answers = list(finder.find(keys(level, **{wanted: ""}, **values)))
    association.release()
    return [one.as_string(wanted)[0].decode() for one in answers]


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


def get() -> dict[str, list[str]]:
    service = odil.registry.StudyRootQueryRetrieveInformationModelGet
    association = associated(service, there.sop_classes)
    getter = odil.GetSCU(association)
    getter.set_affected_sop_class(service)
    got = list(getter.get(keys("STUDY", StudyInstanceUID=there.study)))
    association.release()
    return {"instances": [one.as_string("SOPInstanceUID")[0].decode() for one in got]}


def move() -> dict[str, list[str]]:
    """Again where it cannot: it binds its port twice unless a connection waits at once."""
    for tries in range(20):
        try:
            return moved()
        except RuntimeError as error:
            if "Address already in use" not in str(error) or tries == 19:
                raise
    return {}


def moved() -> dict[str, list[str]]:
    service = odil.registry.StudyRootQueryRetrieveInformationModelMove
    association = associated(service, [])
    mover = odil.MoveSCU(association)
    mover.set_affected_sop_class(service)
    mover.set_move_destination(there.own_ae_title)
    mover.set_incoming_port(there.own_port)
    got = list(mover.move(keys("STUDY", StudyInstanceUID=there.study)))
    association.release()
    return {"instances": [one.as_string("SOPInstanceUID")[0].decode() for one in got]}


tell(find=find, get=get, move=move)
