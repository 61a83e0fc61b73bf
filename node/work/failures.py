"""What a report says of a job that failed, for a radiologist; and an error, for its author.

The sentences are the same for every job: a report made again has the same bytes.
"""

from __future__ import annotations

_MORE = "The status page of the node tells more."

FAULTY = f"The program that analyzes has a fault, not the images. {_MORE}"
"""The analyzer broke the contract."""
STOPPED = f"The program that analyzes stopped with an error. {_MORE}"
"""The analyzer raised an error, or its process ended."""
REFUSED = f"The result did not pass the check that comes before sending. {_MORE}"
"""The output gate let its objects not pass."""
OVER_TIME = f"It did not finish in the time that it may take. {_MORE}"
OVER_MEMORY = f"It needed more memory than it may take. {_MORE}"

_HINTS = {
    "read-only": "volume.stored must not be written to: work on volume.values() or a copy",
}


def raised(error: Exception) -> str:
    """For the author: an error, with what is usually behind it."""
    hint = next((hint for text, hint in _HINTS.items() if text in str(error)), "")
    said = f"{type(error).__name__}: {error}"
    return f"{said} ({hint})" if hint else said


def ended(error: BaseException) -> str:
    """For the author: an error that ends programs was raised."""
    return (
        f"the analyzer raised {type(error).__name__}, which ends programs: "
        "raise NotApplicable, or an error that says what is wrong"
    )
