"""How many instances of which studies went over, for the one line that is told of them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from node.audit.events import OfClass, Subject


@dataclass(slots=True)
class _Study:
    patient_id: str = ""
    patient_name: str = ""
    classes: Counter[str] = field(default_factory=Counter)


class StudyTally:
    """Counts by study and SOP class. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._studies: dict[str, _Study] = {}

    def add(
        self, study_instance_uid: str, sop_class_uid: str, patient_id: str = "", name: str = ""
    ) -> None:
        """One more; whose it is counts with the first."""
        with self._lock:
            found = self._studies.get(study_instance_uid)
            if found is None:
                found = self._studies[study_instance_uid] = _Study(patient_id, name)
            found.classes[sop_class_uid] += 1

    def subjects(self) -> tuple[Subject, ...]:
        """What was counted."""
        with self._lock:
            return tuple(
                Subject(
                    uid,
                    one.patient_id,
                    one.patient_name,
                    classes=tuple(OfClass(name, count) for name, count in one.classes.items()),
                )
                for uid, one in self._studies.items()
            )
