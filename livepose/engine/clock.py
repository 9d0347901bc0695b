"""One time that only goes forward, for all that is remembered from picture to picture.

Where a picture is in its file is the better clock: it stands still during a pause, and does not
mind how long decoding takes. But some files say 0 throughout, some step back a little now and then,
and each may begin again.
"""

from __future__ import annotations

from livepose.capture.pacing import MAX_STEP_S

# Stamps out of order step back by a few pictures; farther back is another place of the film.
_BACK_S = 0.5


class MediaClock:
    """Seconds since the first picture.

    Args:
        cut_s: passes where a film begins again: long enough for everybody to be lost.
    """

    def __init__(self, cut_s: float) -> None:
        self._cut_s, self._now = cut_s, 0.0
        self._media_s: float | None = None
        self._taken_s: float | None = None

    def __call__(self, media_s: float | None, taken_s: float) -> float:
        """When a picture was taken.

        media_s: its place in the file, if there is one. taken_s: by a clock that never stops.
        """
        waited = 0.0 if self._taken_s is None else max(0.0, taken_s - self._taken_s)
        self._taken_s = taken_s
        if media_s is None or self._media_s is None:
            self._now, self._media_s = self._now + waited, media_s
            return self._now
        step = media_s - self._media_s
        if step < -_BACK_S:
            waited = self._cut_s
        elif 0 < step <= MAX_STEP_S:
            waited = step
        self._now += waited
        if step > 0 or step < -_BACK_S:  # a picture out of order says nothing of the next one
            self._media_s = media_s
        return self._now
