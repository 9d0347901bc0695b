"""Packaging: version ranges here, the exact versions that are tested in constraints.txt."""

from pathlib import Path

from setuptools import find_packages, setup

version = next(
    line.split('"')[1]
    for line in Path("livepose/__init__.py").read_text().splitlines()
    if line.startswith("__version__")
)

setup(
    name="livepose",
    version=version,
    description="Real-time webcam pose demo: DSNT network, 2D and 3D views, every stage timed",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-or-later",
    python_requires=">=3.10",
    # The clip and the weights lie beside the package in a checkout, and inside it once installed.
    packages=[
        *find_packages(include=["livepose", "livepose.*"]),
        "livepose.assets",
        "livepose.weights",
    ],
    package_dir={"livepose.assets": "assets", "livepose.weights": "weights"},
    package_data={
        "livepose.assets": ["*.mp4", "*.npz", "units/*"],
        "livepose.weights": ["**/*.safetensors", "**/*.json"],
        "livepose.train": ["configs/*.toml"],
    },
    install_requires=[
        "numpy>=1.26,<3",
        "opencv-python>=4.8,<6",
        # The fastest way to run a network on a CPU; torch takes over where there is none.
        "openvino>=2025.0,<2027; platform_machine in 'x86_64 AMD64 arm64 aarch64'",
        "PyQt5>=5.15.9,<6",
        "pyqtgraph>=0.13.7,<0.15",
        "safetensors>=0.4.3,<1",
        "scipy>=1.11,<2",
        "tomli>=2; python_version < '3.11'",
        "torch>=2.4,<3",
        "tqdm>=4.66,<5",
        "vispy>=0.14.3,<1",
    ],
    extras_require={
        "test": [
            "dsntnn>=0.5.3,<1",
            "h5py>=3.10",
            "hypothesis>=6.100",
            "matplotlib>=3.8",
            "onnxruntime>=1.18",
            "onnxscript>=0.1",
            "pycocotools>=2.0.8",
            "pytest>=8",
            "tensorboard>=2.16",
        ],
        # Only for training and measuring: readers of HDF5 files, OKS AP, logs, rendered people.
        "data": ["h5py>=3.10"],
        "eval": ["pycocotools>=2.0.8"],
        "train": ["matplotlib>=3.8", "tensorboard>=2.16"],
        "synth": ["anny>=0.6,<0.7", "moderngl>=5.11,<6"],
        # MediaPipe Pose to measure beside; later releases have lost its tracking mode. It wants an
        # older numpy than is tested, and OpenCV's other wheel: docs/speed.md.
        "bench": ["mediapipe>=0.10.14,<0.10.22", "numpy<2"],
        "dev": ["mypy>=1.11", "ruff>=0.6"],
    },
    entry_points={"console_scripts": ["livepose = livepose.cli:entry"]},
    classifiers=[
        "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)",
        "Programming Language :: Python :: 3",
        "Environment :: X11 Applications :: Qt",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
