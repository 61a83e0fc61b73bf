"""The codes of audit messages: PS3.16 CID 400, 401, 402 and 404, and those of PS3.15 A.5.1.2."""

from __future__ import annotations

from dataclasses import dataclass

DCM = "DCM"
RFC = "RFC-3881"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: csd-code, codeSystemName, originalText."""

    value: str
    scheme: str
    meaning: str


APPLICATION_ACTIVITY = Code("110100", DCM, "Application Activity")
AUDIT_LOG_USED = Code("110101", DCM, "Audit Log Used")
TRANSFER_BEGUN = Code("110102", DCM, "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = Code("110103", DCM, "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", DCM, "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", DCM, "DICOM Study Deleted")
EXPORT = Code("110106", DCM, "Export")
IMPORT = Code("110107", DCM, "Import")
QUERY = Code("110112", DCM, "Query")
SECURITY_ALERT = Code("110113", DCM, "Security Alert")
USER_AUTHENTICATION = Code("110114", DCM, "User Authentication")

APPLICATION_START = Code("110120", DCM, "Application Start")
APPLICATION_STOP = Code("110121", DCM, "Application Stop")
LOGIN = Code("110122", DCM, "Login")
LOGOUT = Code("110123", DCM, "Logout")
NODE_AUTHENTICATION = Code("110126", DCM, "Node Authentication")
SECURITY_CONFIGURATION = Code("110129", DCM, "Security Configuration")
RESTRICTED_FUNCTION = Code("110132", DCM, "Use of Restricted Function")
RECORDING_STOPPED = Code("110133", DCM, "Audit Recording Stopped")
RECORDING_STARTED = Code("110134", DCM, "Audit Recording Started")
OBJECT_SECURITY_CHANGED = Code("110135", DCM, "Object Security Attributes Changed")
ROLES_CHANGED = Code("110136", DCM, "Security Roles Changed")
USER_SECURITY_CHANGED = Code("110137", DCM, "User Security Attributes Changed")

APPLICATION = Code("110150", DCM, "Application")
LAUNCHER = Code("110151", DCM, "Application Launcher")
DESTINATION = Code("110152", DCM, "Destination Role ID")
SOURCE = Code("110153", DCM, "Source Role ID")
DESTINATION_MEDIA = Code("110154", DCM, "Destination Media")
SOURCE_MEDIA = Code("110155", DCM, "Source Media")

STUDY_UID = Code("110180", DCM, "Study Instance UID")
SOP_CLASS_UID = Code("110181", DCM, "SOP Class UID")
NODE_ID = Code("110182", DCM, "Node ID")

PATIENT_NUMBER = Code("2", RFC, "Patient Number")
SEARCH_CRITERIA = Code("10", RFC, "Search Criteria")
USER_ID = Code("11", RFC, "User Identifier")
URI = Code("12", RFC, "URI")

MEDIA_URI = Code("110038", DCM, "URI")
"""Media types of CID 405: what goes into a folder or a download is named by where it lies."""
