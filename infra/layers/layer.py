"""Makes one layer: locked wheels for the wanted processor, without what no function loads, compiled.

    python3.13 layer.py light|engine FOLDER arm64|x86_64

Lambda refuses code and layers of over 250 MB unzipped; each layer has its share here and the build fails
above it. Bytecode is compiled with unchecked hashes: Lambda's folders are read-only, so what is not compiled
here is compiled again at every cold start, and dates in archives mean nothing.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

PLATFORMS = {"arm64": "aarch64-manylinux_2_34", "x86_64": "x86_64-manylinux_2_34"}

#: Megabytes unzipped that a layer may have; 20 of the 250 are left to our own code.
SHARE = {"light": 50, "engine": 180}

#: What the product never loads, as patterns below the layer's `python` folder.
UNUSED = {
    "light": (
        "bin",
        # boto3 reads a service's description when a client of it is made; these are the services that we call
        "botocore/data/*/",
        "boto3/data/*/",
        "boto3/examples",
    ),
    "engine": (
        "bin",
        "pyarrow/include",
        "pyarrow/includes",
        "pyarrow/src",
        "pyarrow/tests",
        "pyarrow/**/*.p[xy][dxi]",
        "pyarrow/*flight*",
        "pyarrow/*s3*",
        "pyarrow/*_orc*",
        "pyarrow/_pyarrow_cpp_tests*",
        "pyarrow/_gcsfs*",
        "pyarrow/_azurefs*",
        "pyarrow/_hdfs*",
        "numpy/**/tests",
        "numpy/**/*.pyi",
        "numpy/**/*.a",
        "numpy/_core/include",
        "numpy/f2py",
        "numpy/testing/_private",
        # `phonenumberslite` is this package without these, but its releases come later
        "phonenumbers/geodata",
        "phonenumbers/carrierdata",
        "phonenumbers/tzdata",
        "phonenumbers/**/*.pyi",
    ),
}
SERVICES = {"s3", "dynamodb", "events", "kms", "sqs", "sts"}


def install(requirements: Path, target: Path, architecture: str) -> None:
    """Wheels of exactly the locked versions and hashes; nothing is compiled from source."""
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv is needed to build layers: python3 -m pip install uv")
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += [
        "--python",
        sys.executable,
        "--python-version",
        "3.13",
        "--python-platform",
        PLATFORMS[architecture],
    ]
    subprocess.run([*command, "--target", str(target), "--requirement", str(requirements)], check=True)


def prune(name: str, target: Path) -> None:
    """Remove what no function loads."""
    for pattern in UNUSED[name]:
        for path in list(target.glob(pattern)):
            if path.parent.name == "data" and path.name in SERVICES:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists():
                path.unlink()
    for copy in [
        *target.glob("pyarrow/libarrow_python*.so"),
        *target.glob("pyarrow/libarrow_python*.so.*.*.*"),
    ]:
        # a wheel holds no links: the loader asks for the name with one number, the others are copies
        copy.unlink()


def compile_all(target: Path) -> None:
    """Bytecode beside every module; the sources stay for readable tracebacks."""
    if not sys.version.startswith("3.13."):
        sys.exit("bytecode for Python 3.13 needs Python 3.13: put it first on PATH")
    mode = PycInvalidationMode.UNCHECKED_HASH
    workers, strip = os.cpu_count() or 1, str(target)
    if not compileall.compile_dir(target, quiet=1, invalidation_mode=mode, stripdir=strip, workers=workers):
        sys.exit("a module does not compile")


def megabytes(folder: Path) -> float:
    """What a folder takes unzipped."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1_000_000


def main(name: str, artifacts: str, architecture: str) -> None:
    """Make the layer `name` in the folder `artifacts`."""
    target = Path(artifacts, "python")
    install(Path(__file__).with_name(f"{name}.txt"), target, architecture)
    prune(name, target)
    compile_all(target)
    size = megabytes(target)
    sys.stderr.write(f"{name} layer for {architecture}: {size:.1f} MB unzipped\n")
    if size > SHARE[name]:
        sys.exit(f"the {name} layer may have {SHARE[name]} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
