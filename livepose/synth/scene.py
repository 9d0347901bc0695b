"""Random people, poses, cameras, lights and backgrounds; one call makes one labelled picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from livepose.cv import cv2
from livepose.data.readers.empty import read_empty
from livepose.data.samples import DataError
from livepose.skeleton import INDEX, JOINTS
from livepose.synth import held_out
from livepose.synth.body import Look, Person, build_person, with_brows
from livepose.synth.camera import Camera
from livepose.synth.makehuman import Assets
from livepose.synth.mesh import skin
from livepose.synth.motions import Motions
from livepose.synth.paint import redyed, tinted
from livepose.synth.render import Light, Renderer
from livepose.synth.retarget import retarget, turn

# Sides of the pictures: the shapes of webcams, phones and squares, about as many pixels each.
SHAPES = ((400, 300), (448, 252), (300, 400), (252, 448), (336, 336))
HAIR_COLOURS = ((28, 22, 18), (60, 42, 30), (98, 66, 40), (150, 110, 62), (196, 160, 104),
                (120, 52, 28), (140, 138, 136), (214, 210, 204))  # fmt: skip
# A joint lies this deep (metres) in the body: what is nearer to the camera by more hides it.
DEPTH = {
    "nose": 0.03, "eye": 0.025, "ear": 0.03, "head_top": 0.12, "head": 0.16, "neck": 0.15,
    "spine": 0.19, "pelvis": 0.20, "shoulder": 0.13, "elbow": 0.08, "wrist": 0.06,
    "hip": 0.22, "knee": 0.11, "ankle": 0.10,
}  # fmt: skip
JOINT_DEPTH = np.array([DEPTH.get(name) or DEPTH[name.split("_", 1)[1]] for name in JOINTS])


@dataclass(frozen=True, slots=True)
class Shot:
    """image: (H, W, 3) BGR bytes. mask: (H, W) bytes, 255 where the person is.

    joints: (J, 2) pixels. xyz: (J, 3) metres in camera axes (x right, y down, z away) from the
    camera. visible: (J,) bool, in the picture and not hidden by the body. focal: pixels.
    """

    image: np.ndarray
    mask: np.ndarray
    joints: np.ndarray
    xyz: np.ndarray
    visible: np.ndarray
    focal: float


class Studio:
    """Draws random people of one split.

    Args:
        assets: makehuman.zip. motions, backgrounds: folders. split: train or test; they share
            no subject of a motion capture, no build of the body, no clothes that are held out, and
            no background.
    """

    def __init__(self, assets: Path, motions: Path, backgrounds: Path, split: str) -> None:
        self.assets = Assets(assets)
        self.motions = Motions(motions, split)
        self.backgrounds = read_empty(backgrounds, split).images
        self.split = split
        self._renderer = Renderer(max(map(max, SHAPES)))
        self._brows: dict[str, np.ndarray] = {}

    # ----------------------------------------------------------------- who

    def _choose(self, rng: np.random.Generator, names: list[str]) -> str:
        held = [n for n in names if n.rsplit("/", 1)[-1] in held_out.CLOTHES | held_out.SKINS]
        free = [n for n in names if n not in held]
        return str(rng.choice(held if held and self.split == "test" else free))

    def _garment(self, rng: np.random.Generator, folder: str) -> tuple[str, np.ndarray]:
        pictures = self.assets.textures(folder)
        if not pictures:
            return folder, np.full((4, 4, 4), 255, np.uint8)
        return folder, self.assets.picture(str(rng.choice(pictures)))

    def _look(self, rng: np.random.Generator) -> Look:
        gender = "female" if rng.random() < 0.5 else "male"
        phenotype = {
            "gender": float(gender == "male"),
            "age": rng.uniform(0.5, 0.9),
            "muscle": rng.uniform(0.2, 0.8),
            "weight": rng.beta(2.2, 2.2),
            "height": rng.uniform(*held_out.HEIGHTS),
            "proportions": rng.uniform(0.2, 0.9),
        }
        height, weight = phenotype["height"], phenotype["weight"]
        phenotype["weight"] = held_out.weight_of(self.split, height, weight)
        clothes = self.assets.folders("clothes")
        suits = [n for n in clothes if "suit" in n and n.split("/")[1].startswith(gender)]
        suit, texture = self._garment(rng, self._choose(rng, suits))
        shoes = self._garment(rng, self._choose(rng, [n for n in clothes if "shoes" in n]))
        hair = None
        if rng.random() < 0.93:
            style, strands = self._garment(rng, self._choose(rng, self.assets.folders("hair")))
            hair = style, tinted(strands, HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))])
        return Look(
            phenotype, self._skin(rng, gender), (suit, redyed(rng, texture)),
            (shoes[0], redyed(rng, shoes[1])), hair, drape=rng.random() < 0.3,
        )  # fmt: skip

    def _skin(self, rng: np.random.Generator, gender: str) -> np.ndarray:
        names = [n for n in self.assets.textures("skins/textures") if f"_{gender}_" in n]
        name = self._choose(rng, names)
        if name not in self._brows:
            average = dict.fromkeys(("age", "muscle", "weight", "height", "proportions"), 0.5)
            shape = {**average, "gender": float(gender == "male")}
            self._brows[name] = with_brows(self.assets.picture(name), shape)
        texture = self._brows[name].copy()
        tone = np.array([1.0, 0.9, 0.8]) ** rng.uniform(0, 3.5) * rng.uniform(0.75, 1.1)
        texture[..., :3] = np.clip(texture[..., :3] * tone, 0, 255)
        return texture

    def cast(self, rng: np.random.Generator) -> Person:
        """A new random person, to be drawn by `shoot` from now on."""
        person = build_person(self._look(rng), self.assets)
        self._renderer.dress(person.parts)
        return person

    # ----------------------------------------------------------------- one picture

    def shoot(self, rng: np.random.Generator, person: Person) -> Shot:
        """The person in a random pose, before a random background."""
        at = self.motions.pick(rng)
        look = rng.normal(0, [8, 22, 6])
        turns = retarget(person, at, look, curl=rng.uniform(0, 55))
        for side in "LR":
            turns[f"lowerarm02.{side}"] = turn("y", rng.normal(0, 25))
            turns[f"wrist.{side}"] = turn("xyz"[rng.integers(3)], rng.normal(0, 18))
        transforms = person.transforms(turns, np.zeros(3))
        places = []
        turning = transforms.copy()
        turning[:, :, 3] = 0
        for part in person.parts:
            normals = skin(part.normals, part.weights, turning)
            places.append((skin(part.vertices, part.weights, transforms), normals))
        joints = person.joints(transforms)
        camera = random_camera(rng, joints)
        background = self._background(rng, camera.width, camera.height)
        light = random_light(rng, camera, background)
        picture, distance = self._renderer.draw(places, camera, light)

        alpha = picture[..., 3:].astype("f4") / 255
        image = picture[..., 2::-1] + (1 - alpha) * background
        xyz = camera.to_camera(joints)
        at_pixel = camera.project(joints)
        nearest = np.round(at_pixel).astype(int)
        size = np.array([camera.width, camera.height])
        inside = ((nearest >= 0) & (nearest < size)).all(1) & (xyz[:, 2] > 0)
        x, y = nearest.clip(0, size - 1).T
        visible = inside & (xyz[:, 2] - distance[y, x] < JOINT_DEPTH)
        return Shot(
            image.clip(0, 255).astype(np.uint8), picture[..., 3].copy(),
            at_pixel.astype("f4"), xyz.astype("f4"), visible, camera.focal,
        )  # fmt: skip

    def _background(self, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
        file = self.backgrounds[rng.integers(len(self.backgrounds))]
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f"{file}: not a readable picture")
        h, w = image.shape[:2]
        scale = max(width / w, height / h) * rng.uniform(1.0, 1.6)
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x = rng.integers(0, max(1, image.shape[1] - width))
        y = rng.integers(0, max(1, image.shape[0] - height))
        image = cv2.resize(image[y : y + height, x : x + width], (width, height))
        if rng.random() < 0.4:  # out of focus
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 4))
        return image[:, ::-1] if rng.random() < 0.5 else image


def random_camera(rng: np.random.Generator, joints: np.ndarray) -> Camera:
    """A webcam before a desk, a camera across the room, or one anywhere; joints: (J, 3) world."""
    width, height = SHAPES[rng.integers(len(SHAPES))]
    focal = max(width, height) / 2 / np.tan(np.radians(rng.uniform(45, 80)) / 2)
    left = joints[INDEX["left_shoulder"]] - joints[INDEX["right_shoulder"]]
    facing = np.arctan2(-left[2], left[0])  # 0: along +z
    kind = rng.random()
    if kind < 0.4:  # a webcam: near, head and chest, in front
        high = rng.uniform(0.45, 1.25)  # metres of the person that the picture shows
        head = joints[INDEX["head_top"]]
        target = (head + joints[INDEX["neck"]]) / 2 + rng.normal(0, [0.1, 0, 0.05])
        target[1] = head[1] + rng.uniform(-0.02, 0.2) * high - high / 2
        azimuth, distance = facing + rng.normal(0, 0.5), max(0.4, high * focal / height)
        elevation = rng.normal(0.0, 0.15)
    else:
        middle = (joints.max(0) + joints.min(0)) / 2
        target = middle + rng.normal(0, 0.1, 3)
        azimuth = facing + rng.normal(0, 0.9) if kind < 0.7 else rng.uniform(-np.pi, np.pi)
        extent = np.linalg.norm(joints - middle, axis=1).max() + 0.15
        fill = rng.uniform(0.65, 1.3)  # of the shorter half of the picture
        distance = max(1.2, extent * focal / (fill * min(width, height) / 2))
        elevation = rng.normal(0.05, 0.25) if kind < 0.9 else rng.uniform(-0.2, 1.1)
    direction = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation),
                          np.cos(azimuth) * np.cos(elevation)])  # fmt: skip
    roll = rng.normal(0, 0.06)
    return Camera.looking(target + distance * direction, target, focal, width, height, roll)


def random_light(rng: np.random.Generator, camera: Camera, background: np.ndarray) -> Light:
    """Light whose strength and tint are roughly those of the background."""
    while True:
        direction = rng.normal(0, 1, 3)
        direction[1] = abs(direction[1]) + 0.2
        direction /= np.linalg.norm(direction)
        if abs(direction[1]) < 0.97:
            break
    half = background.shape[0] // 2
    sky, ground = (
        (part.reshape(-1, 3).mean(0)[::-1] / 255) ** 2.2
        for part in (background[:half], background[half:])
    )
    level = np.exp(rng.normal(0, 0.3))
    tint = np.exp(rng.normal(0, 0.12, 3))
    key = rng.uniform(0.2, 2.2)
    return Light(
        direction, key * level * tint * (0.35 + 1.5 * sky.mean()),
        level * (0.12 + 1.1 * sky), level * (0.08 + 0.9 * ground),
    )  # fmt: skip
