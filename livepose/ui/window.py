"""The main window: puts the parts together and carries wishes to the session."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PyQt5.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from livepose.bench.explore import SIZES, available_backends
from livepose.engine.device import choose
from livepose.engine.settings import EngineSettings
from livepose.frames import Event, Result
from livepose.models import store
from livepose.timing.causes import Machine, causes
from livepose.timing.timeline import now_ns
from livepose.ui import icons, screenshot, theme
from livepose.ui.actions import Actions
from livepose.ui.banner import Banner, Toast
from livepose.ui.bridge import Bridge
from livepose.ui.camera import VIEWS
from livepose.ui.help import HelpSheet
from livepose.ui.latency import LatencyPanel
from livepose.ui.network_knobs import NetworkKnobs
from livepose.ui.notices import Notices
from livepose.ui.options import AppOptions
from livepose.ui.panes import MenuButton, legend, pane
from livepose.ui.pickers import HeatPicker, ModelPicker, SourcePicker
from livepose.ui.picture import PictureView
from livepose.ui.settings import Settings
from livepose.ui.status import StatusStrip
from livepose.ui.toolbar import ToolBar
from livepose.ui.tuning import TuningPanel
from livepose.ui.view3d import View3D
from livepose.ui.workbench import Workbench

REFRESH_MS = 250
_STOP_S = 3.0
_FILES = (
    "Videos and pictures (*.mp4 *.avi *.mkv *.mov *.webm *.m4v *.jpg *.jpeg *.png *.bmp);;"
    "All files (*)"
)


class MainWindow(QMainWindow):
    """Owns the session from `start` until it is closed."""

    def __init__(self, options: AppOptions) -> None:
        super().__init__()
        self.setWindowTitle("livepose")
        self.setMinimumSize(940, 560)
        self.setAcceptDrops(True)
        self._settings = Settings(options.settings)
        self._system_theme = theme.SystemTheme(self)
        self._theme_choice = options.theme or self._settings.theme
        self._theme = theme.choose(self._theme_choice, self._system_theme)
        self._notices = Notices()
        self._help: HelpSheet | None = None
        self._closed = False

        self.bridge = Bridge(self)
        self.session = options.session_factory(self.bridge.on_result, self.bridge.on_event)

        self.actions_ = Actions(self)
        self.picture = PictureView()
        self.view3d = View3D(options.samples, self._theme)
        self.banner, self.toast = Banner(self.picture), Toast(self.picture)
        self.sources = SourcePicker(self.session.sources)
        self.models = ModelPicker()
        self.heat = HeatPicker()
        self.status = StatusStrip()
        self.latency = LatencyPanel()
        device = choose(options.device).device.type
        backends = available_backends(device)
        self.knobs = NetworkKnobs(store.best(), backends, SIZES)
        self.tuning = TuningPanel(self.session.settings, self.knobs)
        self._views = MenuButton([self.actions_[f"view_{view}"] for view in VIEWS])
        self.pages = Workbench(self.view3d, [self._views], self.session, device, backends)
        pickers = (self.sources, self.models, self.heat)
        self.bar = ToolBar(self.actions_, pickers, self._theme_choice)
        self._saver = screenshot.Saver(self)
        self._compose()
        self._connect()
        self._restore(options)
        self._apply_theme()
        self.picture.set_hint("Opening the source…")
        self._timer = QTimer(self, interval=REFRESH_MS, timeout=self.refresh)
        self.refresh()

    # What the window is made of

    def _compose(self) -> None:
        self._legend = QLabel(textFormat=Qt.RichText)
        self._legend.setFont(theme.font(9))
        self._mirrored = QLabel("mirrored", objectName="badge")
        self._mirrored.setFont(theme.font(8.5))
        left = pane("Picture", self.picture, [self._mirrored, self._legend])
        self.splitter = QSplitter(Qt.Horizontal)
        self.splitter.setHandleWidth(3)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(left)
        self.splitter.addWidget(self.pages)
        self.splitter.setStretchFactor(0, 5)
        self.splitter.setStretchFactor(1, 4)

        body = QWidget(objectName="body")
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.splitter, 1)
        middle.addWidget(self.tuning)
        layout.addLayout(middle, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.latency)
        self.setCentralWidget(body)

    def _connect(self) -> None:
        # Queued even for a session that calls back on this thread: its locks are its own.
        self.bridge.ready.connect(self._on_ready, Qt.QueuedConnection)
        self.bridge.happened.connect(self._on_event, Qt.QueuedConnection)
        self.bridge.fault.connect(self._on_fault, Qt.QueuedConnection)
        self.picture.painted.connect(self.session.painted)
        self.banner.dismissed.connect(self._dismiss)
        self.sources.chosen.connect(self.open_source)
        self.sources.file_wanted.connect(self._choose_file)
        self.models.chosen.connect(self.session.use)
        self.heat.chosen.connect(self._set_heat)
        self.tuning.changed.connect(self._tune)
        self.knobs.chosen.connect(self.session.use)
        self.knobs.watched.connect(self.pages.watch)
        self.pages.maps_wanted.connect(self._want_heatmaps)
        self.pages.looked.connect(lambda result: self.picture.show_result(result, news=False))
        self.picture.clicked.connect(lambda x, y: self.pages.pick(self.picture.result, x, y))
        self.bar.theme_chosen.connect(self.set_theme)
        self._saver.saved.connect(lambda path: self.toast.show_text(f"Saved {path}"))
        self._saver.failed.connect(lambda text: self.toast.show_text(text, "warning"))
        self._system_theme.changed.connect(lambda: self.set_theme(self._theme_choice))
        for name, slot in {
            "open": self._choose_file,
            "pause": self._set_paused,
            "step": self._step,
            "cameras": self.sources.look,
            "mirror": self._set_mirror,
            "heat": self.heat.toggle,
            "heat_next": lambda: self.heat.step(1),
            "heat_back": lambda: self.heat.step(-1),
            "screenshot": self._screenshot,
            **{f"view_{view}": partial(self._look, view) for view in VIEWS},
            "trails": self._set_trails,
            **self.pages.slots(),
            "tuning": self._show_tuning,
            "latency": self.latency.setVisible,
            "fullscreen": self._set_fullscreen,
            "help": self._show_help,
            "quit": self.close,
        }.items():
            self.actions_[name].triggered.connect(slot)
        self.picture.double_clicked.connect(self.actions_["fullscreen"].trigger)
        self.view3d.view_changed.connect(self._show_view)

    # Beginning and end

    def start(self) -> None:
        """Starts the session; the window is there before the first picture is."""
        self._timer.start()
        self.session.start()
        self.sources.look()

    def closeEvent(self, event: QCloseEvent) -> None:
        event.accept()
        if self._closed:
            return
        self._closed = True
        self._timer.stop()
        self._save()
        # Gone at once for the user, however long the camera's driver takes to let go.
        self.hide()
        QApplication.sync()
        self.bridge.close()
        self.pages.close_down()
        self.session.stop(_STOP_S)
        QApplication.quit()

    def _restore(self, options: AppOptions) -> None:
        stored = self._settings
        self.resize(*(options.size or (1280, 720)))
        if options.size is None and stored.geometry is not None:
            self.restoreGeometry(stored.geometry)
        if stored.splitter is not None:
            self.splitter.restoreState(stored.splitter)
        self.actions_["latency"].setChecked(stored.latency)
        self.latency.setVisible(stored.latency)
        self.actions_["tuning"].setChecked(stored.tuning)
        self.tuning.setVisible(stored.tuning)
        self.actions_["trails"].setChecked(stored.trails)
        self._set_trails(stored.trails)
        mirror = stored.mirror if options.mirror is None else options.mirror
        self.actions_["mirror"].setChecked(mirror)
        self._set_mirror(mirror)
        if stored.camera is not None:
            self.view3d.restore_camera(stored.camera)
        if self.view3d.scene is None:
            for view in VIEWS:
                self.actions_[f"view_{view}"].setEnabled(False)

    def _save(self) -> None:
        self._settings.save(
            geometry=None if self.isFullScreen() else self.saveGeometry(),
            splitter=self.splitter.saveState(),
            latency=self.actions_["latency"].isChecked(),
            tuning=self.actions_["tuning"].isChecked(),
            mirror=self.picture.mirror,
            trails=self.view3d.trails,
            theme=self._theme_choice,
            camera=self.view3d.camera_state(),
        )

    # From the session

    def _on_ready(self) -> None:
        result = self.bridge.take()
        try:
            if result is not None and not self._closed:
                self._show(result)
        finally:
            self.bridge.done()

    def _show(self, result: Result) -> None:
        if self.pages.inspector.live:
            self.picture.show_result(result)
        self.pages.show_result(result)
        if self.tuning.isVisible():
            self.knobs.add(result)
        if self._notices.frame(result.frame):
            self.banner.show_notice(self._notices.current)

    def _on_event(self, event: Event) -> None:
        self._notices.add(event)
        self.banner.show_notice(self._notices.current)
        if event.kind == "compare":
            self.pages.comparison.failed(event.message)
        if event.origin == "capture" and self.picture.result is None and event.level == "error":
            self.picture.set_hint("No picture yet. Choose another source above, or open a file.")

    def _on_fault(self, message: str) -> None:
        self._on_event(Event("ui", "error", "exception", message))

    def _dismiss(self) -> None:
        self._notices.dismiss()
        self.banner.show_notice(self._notices.current)

    def refresh(self) -> None:
        """Brings everything that is not the picture up to date; a few times a second."""
        stats, paused = self.session.stats(), self.session.paused
        result = self.picture.result
        age = None if result is None else (now_ns() - result.frame.timeline.start_ns) / 1e6
        software = self.view3d.scene is not None and self.view3d.scene.software
        why = causes(stats, Machine.here(stats.threads, software))
        self.status.set_stats(stats, self.session.choice.name, age, paused, "; ".join(why))
        if self.latency.isVisible():
            self.latency.set_stats(stats)
        if self.tuning.isVisible() and result is not None:
            self.tuning.set_poses(result.poses)
            self.knobs.set_running(
                self.session.choice, self.session.network, stats.threads, self.session.loading
            )
        self.pages.refresh()
        self.sources.set_current(self.session.source)
        self.models.set_models(self.session.models, self.session.model)
        self._show_paused(paused)

    # From the user

    def open_source(self, source: str) -> None:
        self._notices.source_chosen()
        self.pages.forget()
        self.banner.show_notice(self._notices.current)
        self.sources.set_current(source)
        self.session.open(source)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open", self._settings.folder, _FILES)
        if path:
            self._settings.folder = str(Path(path).parent)
            self.open_source(path)

    def _set_paused(self, paused: bool) -> None:
        (self.session.pause if paused else self.session.resume)()
        self._show_paused(paused)

    def _show_paused(self, paused: bool) -> None:
        action = self.actions_["pause"]
        action.setChecked(paused)
        action.setText("Go on" if paused else "Pause")
        action.setToolTip(f"{action.text()} (Space)")
        action.setIcon(self._pause_icons[paused])

    def _step(self) -> None:
        if not self.session.paused:
            self.session.pause()
        self.session.step()
        self._show_paused(True)

    def _set_mirror(self, on: bool) -> None:
        self.picture.set_mirror(on)
        self.pages.set_mirror(on)
        self._mirrored.setVisible(on)

    def _set_heat(self, joint: int | None) -> None:
        self.picture.set_heat_joint(joint)
        self._want_heatmaps()

    def _want_heatmaps(self) -> None:
        looked_into = self.pages.page == "Inspector"
        self.session.want_heatmaps = looked_into or self.picture.heat_joint is not None

    def _set_trails(self, on: bool) -> None:
        self.view3d.trails = on
        self.view3d.refresh()

    def _tune(self, settings: EngineSettings) -> None:
        self.session.settings = settings
        self._show_legend()

    def _show_tuning(self, on: bool) -> None:
        self.tuning.setVisible(on)
        if not on:
            self.knobs.close_page()

    def _show_legend(self) -> None:
        """Left and right have colours where one person is followed, else every person has one."""
        self._legend.setText(legend(self._theme) if self.session.settings.people == 1 else "")

    def _look(self, view: str) -> None:
        self.view3d.look(view)
        self._show_view(view)

    def _show_view(self, view: str) -> None:
        """The view that the camera stands in is the checked one; none after a drag."""
        for name in VIEWS:
            self.actions_[f"view_{name}"].setChecked(name == view)
        self._views.choose(self.actions_[f"view_{view}"].text() if view else "View")

    def _screenshot(self) -> None:
        self.toast.hide()
        self._saver.save(screenshot.image_of(self))

    def _set_fullscreen(self, on: bool) -> None:
        if on:
            self.showFullScreen()
        else:
            self.showNormal()

    def _show_help(self) -> None:
        if self._help is not None:
            self._help.close()
            return
        self._help = HelpSheet(self.actions_.groups(), self._theme, self)
        self._help.finished.connect(self._forget_help)
        self._help.show()

    def _forget_help(self) -> None:
        self._help = None

    def set_theme(self, choice: str) -> None:
        """One of `theme.CHOICES`."""
        self._theme_choice = choice
        self._theme = theme.choose(choice, self._system_theme)
        self._apply_theme()

    def _apply_theme(self) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, self._theme)
        self.actions_.set_theme(self._theme)
        self._pause_icons = {
            paused: icons.icon(name, self._theme.text, self._theme.accent)
            for paused, name in ((False, "pause"), (True, "play"))
        }
        for part in (self.picture, self.pages, self.bar, self.latency, self.sources, self.models,
                     self.heat, self.knobs):  # fmt: skip
            part.set_theme(self._theme)
        self._show_legend()
        self._show_paused(self.session.paused)

    # Files dropped on the window

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        files = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if files:
            event.acceptProposedAction()
            self.open_source(files[0])
