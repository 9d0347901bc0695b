"""A pinhole camera in a world with y up, and its matrices for OpenGL."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Camera:
    """position: (3,) metres. turn: (3, 3) world axes -> camera axes (x right, y down, z away).

    focal: pixels. width, height: pixels; the principal point is the middle of the picture.
    """

    position: np.ndarray
    turn: np.ndarray
    focal: float
    width: int
    height: int

    @classmethod
    def looking(
        cls, position: np.ndarray, target: np.ndarray, focal: float, width: int, height: int,
        roll: float = 0.0,
    ) -> Camera:  # fmt: skip
        """A camera that looks at `target`, turned about its axis by `roll` radians."""
        turn = np.diag([1.0, -1, -1]) @ look_at(np.asarray(position), np.asarray(target))[:3, :3]
        c, s = np.cos(roll), np.sin(roll)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ turn
        return cls(np.asarray(position, float), turn, focal, width, height)

    def to_camera(self, world: np.ndarray) -> np.ndarray:
        """World positions (..., 3) -> camera axes."""
        return (world - self.position) @ self.turn.T

    def project(self, world: np.ndarray) -> np.ndarray:
        """World positions (..., 3) -> pixels (..., 2); (0, 0) is the top-left pixel's centre."""
        p = self.to_camera(world)
        middle = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        return p[..., :2] / p[..., 2:] * self.focal + middle

    def matrix(self, near: float, far: float) -> np.ndarray:
        """(4, 4) clip space from world."""
        axes, move = np.eye(4), np.eye(4)
        axes[:3, :3] = np.diag([1.0, -1, -1]) @ self.turn  # OpenGL: y up, z towards the camera
        move[:3, 3] = -self.position
        return perspective(self.half_angle, near, far) @ axes @ move

    @property
    def half_angle(self) -> tuple[float, float]:
        """Tangents of half the angles of view."""
        return self.width / 2 / self.focal, self.height / 2 / self.focal


def perspective(half_angle: tuple[float, float], near: float, far: float) -> np.ndarray:
    """(4, 4) OpenGL projection; half_angle: tangents of half the angles of view."""
    out = np.zeros((4, 4))
    out[0, 0], out[1, 1] = 1 / half_angle[0], 1 / half_angle[1]
    out[2, 2], out[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
    out[3, 2] = -1
    return out


def orthographic(half: float, near: float, far: float) -> np.ndarray:
    """(4, 4) OpenGL projection without perspective, `half` the side of what it sees."""
    out = np.diag([1 / half, 1 / half, -2 / (far - near), 1.0])
    out[2, 3] = -(far + near) / (far - near)
    return out


def look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(4, 4) OpenGL eye space (y up, z back) from world."""
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0, 1, 0], back)
    right /= np.linalg.norm(right)
    out = np.eye(4)
    out[:3, :3] = np.stack([right, np.cross(back, right), back])
    out[:3, 3] = -out[:3, :3] @ eye
    return out


def gl_bytes(matrix: np.ndarray) -> bytes:
    """Matrices (..., 4, 4) as OpenGL wants them: columns first, float32."""
    return np.swapaxes(matrix, -1, -2).astype("f4").tobytes()
