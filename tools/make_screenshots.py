"""Makes the pictures of the README and of docs/looking-inside.md: the app on the bundled clip.

livepose explore   # once, for the explorer's times
PYTHONPATH=. tools/on-display .venv/bin/python tools/make_screenshots.py [NAME ...]
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt5.QtCore import QTimer

from livepose.cli import spin_less

if TYPE_CHECKING:
    from livepose.ui.window import MainWindow

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"1280": (1280, 720), "1920": (1920, 1080)}


@dataclass(frozen=True)
class Shot:
    """second: of the clip. page: beside the picture. settings: with the panel of live knobs."""

    name: str
    size: str
    theme: str = "dark"
    second: float = 3.2
    page: str = "3D"
    settings: bool = False
    unit: int = 14  # of the network's middle layer: forearms

    def prepare(self, window: MainWindow) -> None:
        window.pages.show_page(self.page)
        # How many units there are is known with the first answer.
        QTimer.singleShot(3000, lambda: window.pages.network.unit.setValue(self.unit))
        if self.settings:
            window.actions_["tuning"].trigger()
            window.knobs.watch.click()


SHOTS = [
    Shot("window-1280", "1280"),
    Shot("window-1920", "1920", "light", 8.2),
    *(Shot(f"{page.lower()}-{size}", size, "dark" if size == "1280" else "light", page=page)
      for page in ("Inspector", "Network", "Compare", "Explorer") for size in SIZES),
    Shot("settings-1280", "1280", settings=True),
]  # fmt: skip


def main(names: list[str]) -> None:
    spin_less()  # before torch is loaded
    from livepose import resources
    from livepose.capture import CaptureOptions
    from livepose.cv import cv2
    from livepose.engine.session import Session
    from livepose.ui.options import AppOptions
    from livepose.ui.screenshot import shoot

    for shot in SHOTS:
        if names and shot.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            options = AppOptions(
                session_factory=lambda on_result, on_event: Session(
                    str(resources.CLIP), options=CaptureOptions(loop=True),
                    on_result=on_result, on_event=on_event,
                ),
                size=SIZES[shot.size], theme=shot.theme, samples=4,
                settings=str(Path(folder) / "settings.ini"),
            )  # fmt: skip
            taken = shoot(options, Path(folder) / "window.png", results=120, media_s=shot.second,
                          timeout_s=120, prepare=shot.prepare)  # fmt: skip
            path = ROOT / f"docs/images/{shot.name}.jpg"  # a quarter of a PNG's bytes
            cv2.imwrite(str(path), cv2.imread(str(taken)), (cv2.IMWRITE_JPEG_QUALITY, 90))
            print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
