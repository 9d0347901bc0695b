"""Makes the pictures of the README: the app on the bundled clip, in two sizes.

PYTHONPATH=. tools/on-display .venv/bin/python tools/make_screenshots.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from livepose.cli import spin_less

ROOT = Path(__file__).resolve().parents[1]
# width, height, theme, second of the clip, 3D view
PICTURES = [(1280, 720, "dark", 3.2, "angled"), (1920, 1080, "light", 8.2, "angled")]


def main() -> None:
    spin_less()  # before torch is loaded
    from livepose import resources
    from livepose.capture import CaptureOptions
    from livepose.engine.session import DEFAULT_MODEL, Session
    from livepose.ui.options import AppOptions
    from livepose.ui.screenshot import shoot

    for width, height, theme, second, view in PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            options = AppOptions(
                session_factory=lambda on_result, on_event: Session(
                    str(resources.CLIP), options=CaptureOptions(loop=True),
                    on_result=on_result, on_event=on_event,
                ),
                model=DEFAULT_MODEL, size=(width, height), theme=theme, samples=4,
                settings=str(Path(folder) / "settings.ini"),
            )  # fmt: skip
            path = ROOT / f"docs/images/window-{width}.png"
            print(shoot(options, path, results=120, view=view, media_s=second, timeout_s=120))


if __name__ == "__main__":
    main()
