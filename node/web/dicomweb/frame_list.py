"""The frames that a URL lists."""

from __future__ import annotations

from starlette.requests import Request

from node.web.dicomweb.refusing import bad_request

MOST_FRAMES = 100_000
"""In one request."""


def frame_numbers(request: Request) -> list[int]:
    """From 1, in the order of the URL; none where it lists none.

    Raises
    ------
    HTTPException
        400: they are not numbers.
    """
    text = request.path_params.get("frames")
    if text is None:
        return []
    numbers = text.split(",")
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in numbers):
        raise bad_request("frames are numbers from 1, with commas between them")
    if len(numbers) > MOST_FRAMES:
        raise bad_request(f"at most {MOST_FRAMES} frames are asked for at once")
    return [int(one) for one in numbers]
