"""What the index keeps of an instance, read from the file just written."""

from __future__ import annotations

from pydicom.dataset import Dataset

from node.receive.offer import Offer
from storage.errors import StoreUnavailable, UnreadableInstance
from storage.files.port import Incoming
from storage.header import reading as header
from storage.header.quick import quick_extract
from storage.records import InstanceAttributes


def attributes_of(incoming: Incoming, offer: Offer) -> InstanceAttributes:
    """Read the header: in memory where that is plain to do, else from the file.

    Raises
    ------
    UnreadableInstance
        The bytes are no data set in the transfer syntax of the offer.
    StoreUnavailable
    """
    quick = quick_extract(incoming.beginning(), offer.transfer_syntax_uid)
    return parse(incoming, offer) if quick is None else quick


def parse(incoming: Incoming, offer: Offer) -> InstanceAttributes:
    """The same by a real parser.

    Raises
    ------
    UnreadableInstance
    StoreUnavailable
    """
    try:
        with incoming.local_file() as path:
            _check_meta(header.file_meta(path), offer)
            return header.parse_attributes(path)
    except OSError as error:
        raise StoreUnavailable("the file just written cannot be read") from error


def _check_meta(meta: Dataset, offer: Offer) -> None:
    """File meta information within the data set is read as the file's: it may not contradict that.

    Raises
    ------
    UnreadableInstance
    """
    told = (offer.sop_class_uid, offer.sop_instance_uid, offer.transfer_syntax_uid)
    keywords = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    for keyword, value in zip(keywords, told, strict=True):
        if str(meta.get(keyword, "")).strip("\0 ") != value.strip("\0 "):
            raise UnreadableInstance("group 0002 within the data set contradicts it")
