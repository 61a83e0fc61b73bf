"""What a DICOMweb service answers when it cannot give what was asked for: the condition by name.

Raised; the application makes words of it, as of all others. No sentence holds a UID.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException

from node.query.search import TooMuch
from node.retrieve.bulkdata import NoSuchValue, SenselessPath
from node.retrieve.frames import NoPixels, NoSuchFrame, UnreadablePixels
from node.retrieve.rendered import SenselessViewport
from node.retrieve.transcode import NotEncodable


def bad_request(sentence: str) -> HTTPException:
    """400: the request itself is wrong, whatever the node holds."""
    return HTTPException(400, sentence)


def not_found(what: str = "study, series or instance") -> HTTPException:
    """404: nothing is held under these UIDs."""
    return HTTPException(404, f"the node holds no such {what}")


def not_acceptable(offered: Iterable[str], syntaxes: Iterable[str] = ()) -> HTTPException:
    """406, with what could be accepted."""
    sentence = f"nothing is accepted of what is offered here: {', '.join(dict.fromkeys(offered))}"
    listed = ", ".join(syntaxes)
    return HTTPException(406, sentence + (f"; with transfer-syntax {listed}" if listed else ""))


@contextmanager
def refusals() -> Iterator[None]:
    """What searching, and reading frames and files, raises, as an answer."""
    try:
        yield
    except (NoPixels, NoSuchFrame, NoSuchValue) as error:
        raise HTTPException(404, str(error)) from error
    except (SenselessViewport, SenselessPath) as error:
        raise bad_request(str(error)) from error
    except (UnreadablePixels, NotEncodable) as error:
        raise HTTPException(406, f"{error}: it cannot be given in this form") from error
    except TooMuch as error:
        raise HTTPException(413, str(error)) from error
    except FileNotFoundError as error:
        raise not_found("instance: it was deleted a moment ago") from error
