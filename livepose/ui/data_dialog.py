"""Asks for labelled pictures to measure accuracy on."""

from __future__ import annotations

from pathlib import Path

from PyQt5.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from livepose.bench.measurer import DataSet
from livepose.data.readers import READERS
from livepose.ui.pickers import Picker
from livepose.ui.theme import Theme


class DataDialog(QDialog):
    """`data` is what was chosen; LSP at first, whose test half the cards of models quote."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Measure accuracy on labelled pictures")
        self.reader = Picker("open", "Data set", 200)
        self.reader.set_theme(theme)
        self.reader.addItems(list(READERS))
        self.reader.setCurrentText("lsp")
        self.folder = QLineEdit(placeholderText="folder of the data set")
        self.folder.setMinimumWidth(280)
        self.browse = QPushButton("Browse…")
        self.pictures = QSpinBox(minimum=10, maximum=100_000, value=200)
        self.pictures.setToolTip("More take longer, and tell smaller differences apart")
        self.buttons = QDialogButtonBox(QDialogButtonBox.Ok | QDialogButtonBox.Cancel)
        self.buttons.button(QDialogButtonBox.Ok).setText("Measure")
        where = QHBoxLayout()
        where.addWidget(self.folder, 1)
        where.addWidget(self.browse)
        form = QFormLayout(self)
        form.addRow("Data set", self.reader)
        form.addRow("Folder", where)
        form.addRow("Pictures, evenly spread", self.pictures)
        form.addRow(self.buttons)
        self.browse.clicked.connect(self._browse)
        self.folder.textChanged.connect(self._check)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._check()

    @property
    def data(self) -> DataSet:
        name = self.reader.currentText()
        root = Path(self.folder.text()).expanduser().resolve()
        # A reader's last split is the one to measure on, where it has one.
        return DataSet(name, root, READERS[name].splits[-1], self.pictures.value())

    def _browse(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder of the data set"):
            self.folder.setText(folder)

    def _check(self) -> None:
        there = Path(self.folder.text()).expanduser().is_dir() and self.folder.text()
        self.buttons.button(QDialogButtonBox.Ok).setEnabled(bool(there))
