"""The last seconds, frames and all, to step back through while the capture goes on."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import numpy as np

from livepose.cv import cv2
from livepose.frames import Result

SECONDS = 10.0
LIMIT_MB = 256
_QUALITY = 90
_NO_PICTURE = np.zeros((0, 0, 3), np.uint8)


class History:
    """Results of the last seconds, as far as they fit into memory; the oldest go first.

    Pictures are kept as JPEG: a tenth to a twentieth of the bytes, for 3 ms of work (1280x720),
    which is done on a thread of its own and not on that of the UI. Maps are kept as they are, what
    another network said of the same frame is not kept.
    """

    def __init__(self, seconds: float = SECONDS, limit_mb: float = LIMIT_MB) -> None:
        self._seconds, self._limit = seconds, limit_mb * 1e6
        self._moments: deque[_Moment] = deque()
        self._encoder = ThreadPoolExecutor(1, "history")

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def size(self) -> int:
        """Bytes of pictures and maps."""
        return sum(moment.size for moment in self._moments)

    def add(self, result: Result) -> None:
        """Takes the newest one; the same frame again takes the place of what was made of it."""
        begun_ns = result.frame.timeline.start_ns
        if self._moments and self._moments[-1].start_ns == begun_ns:
            self._moments.pop().drop()
        self._moments.append(_Moment(result, self._encoder))
        oldest_ns, size = begun_ns - self._seconds * 1e9, self.size
        while len(self._moments) > 1 and (
            size > self._limit or self._moments[0].start_ns < oldest_ns
        ):
            gone = self._moments.popleft()
            size -= gone.size
            gone.drop()

    def at(self, index: int) -> Result:
        """0 is the oldest; beyond the ends it is the one there."""
        return self._moments[min(max(index, 0), len(self._moments) - 1)].result()

    def clear(self) -> None:
        for moment in self._moments:
            moment.drop()
        self._moments.clear()


class _Moment:
    """A result with its picture packed, or about to be."""

    def __init__(self, result: Result, encoder: ThreadPoolExecutor) -> None:
        frame = result.frame
        self.start_ns = frame.timeline.start_ns
        self._packed: Future[np.ndarray] = encoder.submit(_packed, frame.image)
        self._raw = frame.image.nbytes
        self._maps = _map_bytes(result)
        self._rest = replace(result, frame=replace(frame, image=_NO_PICTURE), other=None)

    @property
    def size(self) -> int:
        return self._maps + (self._packed.result().nbytes if self._packed.done() else self._raw)

    def result(self) -> Result:
        packed = self._packed.result()
        image = packed if packed.ndim == 3 else np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
        return replace(self._rest, frame=replace(self._rest.frame, image=image))

    def drop(self) -> None:
        """It goes away, and need not be packed any more."""
        self._packed.cancel()


def _packed(image: np.ndarray) -> np.ndarray:
    """BGR bytes as JPEG, (N,), or as they are where that cannot hold them."""
    with suppress(cv2.error):
        good, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
        if good:
            return data
    return image


def _map_bytes(result: Result) -> int:
    """Maps are parts of arrays for all squares of a picture, which stay as a whole, and once."""
    maps = [m for each in result.heatmaps for m in (each.xy, each.zy, each.xz)]
    maps += [m for each in result.heatmaps for stage in each.stages
             for m in (stage.xy, stage.zy, stage.xz) if m is not None]  # fmt: skip
    wholes = (m.base if isinstance(m.base, np.ndarray) else m for m in maps)
    return sum({whole.ctypes.data: whole.nbytes for whole in wholes}.values())
