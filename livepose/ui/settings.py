"""What the window remembers from one run to the next."""

from __future__ import annotations

from PyQt5.QtCore import QByteArray, QSettings

from livepose.ui.theme import CHOICES


class Settings:
    """Read once at the start, written once at the end; anything unreadable counts as absent."""

    def __init__(self, path: str | None = None) -> None:
        self._store = (
            QSettings("livepose", "livepose") if path is None
            else QSettings(path, QSettings.IniFormat)
        )  # fmt: skip

    @property
    def geometry(self) -> QByteArray | None:
        return self._bytes("window/geometry")

    @property
    def splitter(self) -> QByteArray | None:
        return self._bytes("window/splitter")

    @property
    def latency(self) -> bool:
        return self._flag("window/latency", True)

    @property
    def tuning(self) -> bool:
        return self._flag("window/tuning", False)

    @property
    def trails(self) -> bool:
        return self._flag("view/trails", True)

    @property
    def mirror(self) -> bool:
        return self._flag("view/mirror", False)

    @property
    def theme(self) -> str:
        choice = self._store.value("view/theme", "system")
        return choice if choice in CHOICES else "system"

    @property
    def camera(self) -> list[float] | None:
        """Azimuth, elevation, extent and the three coordinates of the centre."""
        try:
            values = [float(v) for v in self._store.value("view/camera") or []]
        except (TypeError, ValueError):
            return None
        return values if len(values) == 6 else None

    @property
    def folder(self) -> str:
        return str(self._store.value("files/folder", ""))

    @folder.setter
    def folder(self, path: str) -> None:
        self._store.setValue("files/folder", path)

    def save(
        self, *, geometry: QByteArray | None, splitter: QByteArray, latency: bool, tuning: bool,
        mirror: bool, trails: bool, theme: str, camera: list[float] | None,
    ) -> None:  # fmt: skip
        if geometry is not None:
            self._store.setValue("window/geometry", geometry)
        self._store.setValue("window/splitter", splitter)
        self._store.setValue("window/latency", latency)
        self._store.setValue("window/tuning", tuning)
        self._store.setValue("view/mirror", mirror)
        self._store.setValue("view/trails", trails)
        self._store.setValue("view/theme", theme)
        if camera is not None:
            self._store.setValue("view/camera", camera)
        self._store.sync()

    def _bytes(self, key: str) -> QByteArray | None:
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def _flag(self, key: str, default: bool) -> bool:
        # Ini files give back strings.
        return str(self._store.value(key, default)).lower() in ("true", "1")
