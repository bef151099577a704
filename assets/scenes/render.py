#!/usr/bin/env python3
"""Render the scenes in this folder to JPEG files in ../images.

Usage: render.py [--quick] [scene ...]   (all scenes when none is named)
Needs: povray, povray-includes and Pillow.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
SIZE = re.compile(r"^// size (\d+)x(\d+)", re.MULTILINE)
MAX_BYTES = 60_000


def render(scene: Path, target: Path, quick: bool) -> None:
    """Render one scene and save it as JPEG of at most MAX_BYTES."""
    match = SIZE.search(scene.read_text(encoding="utf-8"))
    if match is None:
        raise SystemExit(f"{scene.name}: no '// size WxH' line")
    width, height = (int(n) // (2 if quick else 1) for n in match.groups())
    with tempfile.TemporaryDirectory() as folder:
        png = Path(folder) / "out.png"
        command = ["povray", f"+I{scene}", f"+O{png}", f"+W{width}", f"+H{height}"]
        command += [f"+L{HERE}", "+FN8", "-D", "-V", "+WT1"]
        command += ["-A"] if quick else ["+A0.12", "+AM2", "+R2", "-J"]
        result = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        if result.returncode:
            raise SystemExit(f"{scene.name}: povray failed\n{result.stderr[-700:]}")
        with Image.open(png) as image:
            rgb = image.convert("RGB")
    for quality in range(88, 40, -3):
        rgb.save(target, quality=quality, optimize=True)
        if target.stat().st_size <= MAX_BYTES:
            break
    size = target.stat().st_size
    print(f"{target.name}: {width}x{height}, {size} bytes, quality {quality}", flush=True)


def main() -> None:
    """Read the command line and render the scenes it names."""
    parser = argparse.ArgumentParser(description="Render the scenes to JPEG files.")
    parser.add_argument("--quick", action="store_true", help="half size, no anti-aliasing")
    parser.add_argument("--out", type=Path, default=HERE.parent / "images", help="target folder")
    parser.add_argument("scenes", nargs="*", help="scene names without .pov")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.scenes or sorted(p.stem for p in HERE.glob("*.pov")):
        render(HERE / f"{name}.pov", args.out / f"{name}.jpg", args.quick)


if __name__ == "__main__":
    main()
