"""dicomtrolley: C-FIND, QIDO-RS, WADO-RS, its metadata, WADO-URI."""

import requests
from dicomtrolley.core import Query, QueryLevels
from dicomtrolley.dicom_qr import DICOMQR
from dicomtrolley.qido_rs import HierarchicalQuery, QidoRS
from dicomtrolley.wado_rs import WadoRS, WadoRSMetaData
from dicomtrolley.wado_uri import WadoURI
from driving import target, tell

there = target()
session = requests.Session()
query = Query(PatientID=there.patient_id, query_level=QueryLevels.INSTANCE)


def tree(studies) -> dict[str, list[str]]:
    return {
        "studies": [study.uid for study in studies],
        "series": [one.uid for study in studies for one in study.series],
        "instances": [one.uid for study in studies for one in study.all_instances()],
    }


def find() -> dict[str, list[str]]:
    searcher = DICOMQR(host=there.host, port=there.port, aet="DICOMTROLLEY", aec=there.ae_title)
    studies = searcher.find_studies(Query(PatientID=there.patient_id, query_level="STUDY"))
    return {"studies": [study.uid for study in studies]}


def qido() -> dict[str, list[str]]:
    searcher = QidoRS(session=session, url=there.web)
    studies = searcher.find_studies(Query(PatientID=there.patient_id, query_level="STUDY"))
    below = searcher.find_studies(
        HierarchicalQuery(StudyInstanceUID=there.study, query_level=QueryLevels.SERIES)
    )
    return {
        "studies": [study.uid for study in studies],
        "series": [one.uid for study in below for one in study.series],
    }


def downloaded(downloader) -> list[str]:
    searcher = QidoRS(session=session, url=there.web)
    (study,) = searcher.find_studies(query)
    return [str(one.SOPInstanceUID) for one in downloader.datasets([study])]


def wado() -> dict[str, list[str]]:
    return {"instances": downloaded(WadoRS(session=session, url=there.web))}


def metadata() -> dict[str, list[str]]:
    return {"instances": downloaded(WadoRSMetaData(session=session, url=there.web))}


def uri() -> dict[str, list[str]]:
    return {"instances": downloaded(WadoURI(session=session, url=there.wado_uri))}


tell(find=find, qido=qido, wado=wado, metadata=metadata, uri=uri)
