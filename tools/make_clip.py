"""Makes the bundled clip: a clothed person in a room, with known 2D and 3D joints.

    pip install torch==2.13.0 anny==0.6.2 moderngl==5.13.0 scipy==1.17.1 opencv-python numpy
    apt-get install ffmpeg libegl1 libgl1-mesa-dri
    python tools/make_clip.py --assets PATH/makehuman.zip --out assets/

Nothing is downloaded when it runs, no graphics card or screen is needed, and every run gives the
same frames (bytes may differ between versions of Mesa or x264). It takes some ten minutes on two
idle cores; `--frames 12 --preview sheet.png` shows the motion in half a minute.

The clip is assets/clip.mp4, and the joints are in assets/clip.truth.npz:
    joints (F, 22, 2) float32: pixels, (0, 0) the centre of the top-left pixel.
    xyz (F, 22, 3) float32: metres about the pelvis, camera axes (x right, y down, z away).
    visible (F, 22) bool: in the picture and not hidden by another part of the body.
    fps: pictures a second.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

# Python finds the other modules of tools/ by itself, and livepose without being installed by this.
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from clip_body import load_person
from clip_motion import SECONDS, pose, tracks
from clip_render import Renderer
from clip_room import BACK, things

from livepose.cv import cv2
from livepose.skeleton import BONES, FACE_BONES, INDEX, JOINTS, side
from livepose.synth.body import Person
from livepose.synth.camera import Camera
from livepose.synth.mesh import skin
from livepose.synth.scene import JOINT_DEPTH

FPS = 30
LARGEST = 2_700_000  # bytes of clip.mp4
EYE, DOWN = np.array([0.0, 1.15, 3.6]), np.radians(1.7)
CAMERA = Camera.looking(EYE, EYE - [0, np.sin(DOWN), np.cos(DOWN)], 1100.0, 1280, 720)
# The middle of the window that the light falls through, to the left and out of the picture.
WINDOW = np.array([-2.55, 1.95, 1.9])
GLOSS = {"body": 0.03, "eyes": 0.3, "shoes": 0.03}


class Scene:
    """The person in the room, ready to be drawn in any pose."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.renderer = Renderer(CAMERA, WINDOW, np.array([0, 0.9, 0]), BACK)
        for part in person.parts:
            gloss = GLOSS.get(part.name, 0.0)
            self.renderer.add(part.name, part.uv, part.faces, part.texture, gloss)
        room = things()
        for thing in reversed(room):  # walls and floor last
            gloss = thing.gloss
            self.renderer.add(thing.name, thing.uv, thing.faces, thing.texture, gloss, casts=False)
            self.renderer.place(thing.name, thing.vertices, thing.normals)
        # One mesh casts all the shadows of the room, which is many times faster.
        starts = np.cumsum([0] + [len(thing.vertices) for thing in room])
        faces = np.concatenate([t.faces + k for t, k in zip(room, starts, strict=False)])
        vertices, normals, uv = (
            np.concatenate([getattr(thing, name) for thing in room])
            for name in ("vertices", "normals", "uv")
        )
        self.renderer.add("shadows", uv, faces, room[0].texture, shown=False)
        self.renderer.place("shadows", vertices, normals)

    def draw(self, channels: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The picture (H, W, 3) BGR, joints in world axes (22, 3), which are visible (22)."""
        turns, root = pose(self.person, channels)
        transforms = self.person.transforms(turns, root)
        # Between two steps both heels may be up: the lower foot stays on the floor.
        lowest = min(
            skin(part.vertices, part.weights, transforms)[:, 1].min()
            for part in self.person.parts
            if part.name == "shoes"
        )
        transforms[:, 1, 3] -= lowest
        turning = transforms.copy()
        turning[:, :, 3] = 0
        moved = []
        for part in self.person.parts:
            vertices = skin(part.vertices, part.weights, transforms)
            moved.append(vertices)
            normals = skin(part.normals, part.weights, turning)
            self.renderer.place(part.name, vertices, normals)
        picture, distance = self.renderer.draw(np.concatenate(moved))
        joints = self.person.joints(transforms)
        return picture[..., ::-1], joints, visible(joints, distance)


def visible(joints: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Which joints (22, 3, world axes) are in the picture and have nothing far in front."""
    at = np.round(CAMERA.project(joints)).astype(int)
    inside = (at >= 0).all(1) & (at < (CAMERA.width, CAMERA.height)).all(1)
    x, y = np.clip(at, 0, (CAMERA.width - 1, CAMERA.height - 1)).T
    return inside & (CAMERA.to_camera(joints)[:, 2] - distance[y, x] < JOINT_DEPTH)


def overlay(picture: np.ndarray, joints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The picture with the skeleton: left red, right green; hidden joints are hollow."""
    colours = {"left": (60, 60, 255), "right": (60, 220, 60), "middle": (255, 160, 60)}
    out = np.ascontiguousarray(picture)
    place = [tuple(round(float(k) * 16) for k in joint) for joint in joints]
    for a, b in BONES + FACE_BONES:
        name = b if side(a) == "middle" else a
        ends = place[INDEX[a]], place[INDEX[b]]
        cv2.line(out, *ends, colours[side(name)], 2, cv2.LINE_AA, shift=4)
    for k, name in enumerate(JOINTS):
        cv2.circle(out, place[k], 4 * 16, colours[side(name)], -1 if seen[k] else 1, cv2.LINE_AA, 4)
    return out


def encode(pictures: list[np.ndarray], path: Path, crf: int) -> None:
    """H.264 that every player and browser takes."""
    height, width = pictures[0].shape[:2]
    source = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(FPS)]
    # Colours are converted and labelled as BT.709, as players expect of HD.
    colour = ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]
    for name in ("-colorspace", "-color_primaries", "-color_trc"):
        colour += [name, "bt709"]
    codec = ["-c:v", "libx264", "-preset", "veryslow", "-crf", str(crf), "-g", str(FPS * 4)]
    flags = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"]
    command = ["ffmpeg", "-y", "-loglevel", "error", *source, "-i", "-", *colour, *codec, *flags]
    data = b"".join(np.ascontiguousarray(picture).tobytes() for picture in pictures)
    subprocess.run([*command, str(path)], input=data, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True, help="makehuman.zip")
    parser.add_argument("--out", type=Path, help="folder for clip.mp4 and clip.truth.npz")
    parser.add_argument("--frames", type=int, default=round(SECONDS * FPS), help="frames of a loop")
    parser.add_argument("--preview", type=Path, help="a sheet of frames with their joints (PNG)")
    args = parser.parse_args()

    scene = Scene(load_person(args.assets))
    channels = tracks(args.frames)
    pictures, world, seen = [], [], []
    for f in range(args.frames):
        picture, joints, visible_now = scene.draw({name: v[f] for name, v in channels.items()})
        pictures.append(picture)
        world.append(joints)
        seen.append(visible_now)
        print(f"\rframe {f + 1} of {args.frames}", end="", flush=True)
    print()
    joints = CAMERA.project(np.stack(world)).astype(np.float32)
    if args.preview:
        shown = np.linspace(0, args.frames, min(args.frames, 12), endpoint=False).astype(int)
        tiles = [overlay(pictures[f], joints[f], seen[f])[:, 320:960] for f in shown]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 4)
        rows = [np.hstack(tiles[k : k + 4]) for k in range(0, len(tiles), 4)]
        cv2.imwrite(str(args.preview), np.vstack(rows))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        camera = CAMERA.to_camera(np.stack(world))
        xyz = (camera - camera[:, INDEX["pelvis"], None]).astype(np.float32)
        truth = {"joints": joints, "xyz": xyz, "visible": np.stack(seen), "fps": np.float32(FPS)}
        np.savez_compressed(args.out / "clip.truth.npz", **truth)
        for crf in range(18, 40):
            encode(pictures, args.out / "clip.mp4", crf)
            size = (args.out / "clip.mp4").stat().st_size
            print(f"crf {crf}: {size:,} bytes")
            if size <= LARGEST:
                break


if __name__ == "__main__":
    main()
