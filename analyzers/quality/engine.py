"""Tesseract kept in this process: nothing has to be started for a film.

Its C API (``tesseract/capi.h``, version 5) reads as the program with ``--psm 11 … tsv``. The engine
is made once and stays. A process of its own is what there is without.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

TESSERACT, LEPTONICA, OPENMP = "libtesseract.so.5", "liblept.so.5", "libgomp.so.1"
_SPARSE_TEXT = 11
_ONE = threading.Lock()
"""One reads at a time: an engine holds one image."""
_POINTER, _NUMBER, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p


class Engine:
    """Reads images. Raises OSError where the library is not there or has no language."""

    def __init__(self) -> None:
        self._images = ctypes.CDLL(LEPTONICA)
        self._library = ctypes.CDLL(TESSERACT)
        self._openmp = ctypes.CDLL(OPENMP)
        self._declare()
        self._api = self._library.TessBaseAPICreate()
        atexit.register(self._end)
        self._library.TessBaseAPISetVariable(self._api, b"debug_file", os.devnull.encode())
        if self._library.TessBaseAPIInit3(self._api, None, b"eng"):
            raise OSError("Tesseract has no language to read by")
        self._library.TessBaseAPISetPageSegMode(self._api, _SPARSE_TEXT)

    def read(self, pages: Sequence[bytes], timeout_s: float) -> list[str]:
        """What stands on each page, a TIFF file, as Tesseract's TSV without its head.

        Raises
        ------
        subprocess.SubprocessError
            A page cannot be read, or takes longer than ``timeout_s``.
        """
        with _ONE, self._one_thread():
            self._library.TessBaseAPIClearAdaptiveClassifier(self._api)  # as one that begins
            return [self._page(page, timeout_s) for page in pages]

    def _page(self, page: bytes, timeout_s: float) -> str:
        image = _POINTER(self._images.pixReadMemTiff(page, len(page), 0))
        if not image:
            raise subprocess.SubprocessError("Tesseract cannot open the image")
        monitor = self._library.TessMonitorCreate()
        try:
            self._library.TessMonitorSetDeadlineMSecs(monitor, int(timeout_s * 1000))
            self._library.TessBaseAPISetImage2(self._api, image)
            if self._library.TessBaseAPIRecognize(self._api, monitor):
                raise subprocess.TimeoutExpired("Tesseract", timeout_s)
            return self._said()
        finally:
            self._library.TessBaseAPIClear(self._api)
            self._library.TessMonitorDelete(monitor)
            self._images.pixDestroy(ctypes.byref(image))

    def _said(self) -> str:
        text = self._library.TessBaseAPIGetTsvText(self._api, 0)
        try:
            return ctypes.string_at(text).decode("utf-8", "replace")
        finally:
            self._library.TessDeleteText(text)

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Tesseract asks for four and turns no number down, but opens none where no level of them
        may be active. The library may be that which PyTorch computes with: for this while alone."""
        before = self._openmp.omp_get_max_active_levels()
        self._openmp.omp_set_max_active_levels(0)
        try:
            yield
        finally:
            self._openmp.omp_set_max_active_levels(before)

    def _declare(self) -> None:
        self._images.pixReadMemTiff.argtypes = (_TEXT, ctypes.c_size_t, _NUMBER)
        self._images.pixReadMemTiff.restype = _POINTER
        self._images.pixDestroy.argtypes = (ctypes.POINTER(_POINTER),)
        self._images.pixDestroy.restype = None
        for name, (given, result) in _FUNCTIONS.items():
            function = getattr(self._library, name, None)
            if function is None:
                raise OSError(f"{TESSERACT} has no {name}")
            function.argtypes, function.restype = given, result

    def _end(self) -> None:
        self._library.TessBaseAPIDelete(self._api)


@cache
def engine() -> Engine | None:
    """That of this process; None where there is no library to make one of."""
    with suppress(OSError):
        return Engine()
    return None


_FUNCTIONS: dict[str, tuple[tuple[object, ...], object]] = {
    "TessBaseAPICreate": ((), _POINTER),
    "TessBaseAPISetVariable": ((_POINTER, _TEXT, _TEXT), _NUMBER),
    "TessBaseAPIInit3": ((_POINTER, _TEXT, _TEXT), _NUMBER),
    "TessBaseAPISetPageSegMode": ((_POINTER, _NUMBER), None),
    "TessBaseAPISetImage2": ((_POINTER, _POINTER), None),
    "TessBaseAPIRecognize": ((_POINTER, _POINTER), _NUMBER),
    "TessBaseAPIGetTsvText": ((_POINTER, _NUMBER), _POINTER),
    "TessBaseAPIClear": ((_POINTER,), None),
    "TessBaseAPIClearAdaptiveClassifier": ((_POINTER,), None),
    "TessBaseAPIDelete": ((_POINTER,), None),
    "TessDeleteText": ((_POINTER,), None),
    "TessMonitorCreate": ((), _POINTER),
    "TessMonitorSetDeadlineMSecs": ((_POINTER, _NUMBER), None),
    "TessMonitorDelete": ((_POINTER,), None),
}
