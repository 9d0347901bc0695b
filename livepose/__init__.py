"""livepose: a real-time webcam pose demo whose every millisecond is accounted for.

Data flows one way, ``capture -> engine -> ui``; plain dataclasses (`livepose.frames`)
cross the borders and a frame travels together with its pose and its time stamps.
"""

__version__ = "0.1.0"
