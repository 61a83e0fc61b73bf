"""What the results of a study that was analyzed before it was complete say of that.

The sentences are English, as those of analyzers; reports have them in their language.
"""

from __future__ import annotations


def sentences(missing: str) -> tuple[str, ...]:
    """None where nothing was missing.

    missing: "12/40" for so many of so many that were announced; anything else: nobody knows.
    """
    if not missing:
        return ()
    some, _, of = missing.partition("/")
    if not of:
        return (f"{_NOT_COMPLETE} Nobody has announced how many images it has.",)
    return (f"{_NOT_COMPLETE} {some} of {of} announced images were missing.",)


_NOT_COMPLETE = "The study was not complete when it was analyzed, as a person wanted."
