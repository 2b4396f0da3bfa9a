"""What `pip` makes of this project: a wheel for this platform, a pure one, and the sdist.

All are built from a copy of the tree in which binaries lie about, as after a compilation in
place. The compiled wheel takes a minute and is built once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from tests.test_form import modules

ROOT = Path(__file__).parent.parent
SUFFIX = EXTENSION_SUFFIXES[0]
# What a build reads; the rest of the tree is none of its business.
READ = (".ci", "protocol", "trio_pool", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
LEFTOVERS = (f"protocol/tags{SUFFIX}", f"trio_pool/relay/gone{SUFFIX}", "protocol/form.txt")
BUILD_SECONDS_MAX = 900

pytestmark = pytest.mark.slow


def python(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python as for somebody whose environment says nothing of forms."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("TRIO_POOL_")}
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS_MAX,
    )


def pip_wheel(source: Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `pip wheel` does, with the build tools that are installed beside the tests."""
    options = ("--no-build-isolation", "--no-deps", "--verbose", "--wheel-dir", str(folder))
    return python("-m", "pip", "wheel", *options, str(source), cwd=folder, **environment)


def the_wheel(source: Path, folder: Path, **environment: str) -> Path:
    """The wheel that is built from `source`."""
    done = pip_wheel(source, folder, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpacked(wheel: Path, folder: Path) -> Path:
    """The wheel as an installation has it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def version(installation: Path, **environment: str) -> str:
    """What `trio-pool --version` says there."""
    done = python("-m", "trio_pool", "--version", cwd=installation, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def names_in(wheel: Path) -> list[str]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def binaries(names: list[str]) -> list[str]:
    """Those that are neither text nor Python."""
    return [
        name for name in names if Path(name).suffix in (".so", ".pyd", ".c", ".h", ".o", ".pyc")
    ]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with binaries in it that nobody should find in a wheel."""
    tree = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "form.txt")
    for name in READ:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tree / name)
    for name in LEFTOVERS:
        (tree / name).write_text("left over")
    return tree


@pytest.fixture(scope="session")
def compiled(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with extension modules."""
    return the_wheel(tree, tmp_path_factory.mktemp("compiled"), TRIO_POOL_COMPILED="1")


@pytest.fixture(scope="session")
def pure(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel for every platform."""
    return the_wheel(tree, tmp_path_factory.mktemp("pure"), TRIO_POOL_PURE="1")


def test_the_compiled_wheel_has_every_hot_module_twice_and_nothing_left_over(
    compiled: Path,
) -> None:
    names = names_in(compiled)
    sources = [name.replace(".", "/") for name in modules()]

    assert not compiled.name.endswith("-any.whl")
    assert {f"{source}.py" for source in sources} <= set(names)
    expected = {f"{source}{SUFFIX}" for source in [*sources, "protocol/compiled__mypyc"]}
    assert set(binaries(names)) == expected
    assert "protocol/form.txt" not in names


def test_the_compiled_wheel_runs_compiled_unless_told_otherwise(
    compiled: Path, tmp_path: Path
) -> None:
    installation = unpacked(compiled, tmp_path)

    assert version(installation).endswith(" (compiled)")
    assert version(installation, TRIO_POOL_PURE="0").endswith(" (compiled)")
    assert version(installation, TRIO_POOL_PURE="1").endswith(
        " (pure Python: TRIO_POOL_PURE is set)"
    )


@pytest.mark.parametrize(("pure", "suffix"), [("1", ".py"), ("", SUFFIX)])
@pytest.mark.parametrize("first", ["protocol.pipeline", "trio_pool.session.session"])
def test_all_modules_come_from_the_form_that_was_asked_for(
    compiled: Path, tmp_path: Path, pure: str, suffix: str, first: str
) -> None:
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    )
    installation = unpacked(compiled, tmp_path)

    done = python("-c", program, first, *modules(), cwd=installation, TRIO_POOL_PURE=pure)

    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert len(files) == 1 + len(modules())
    assert all(file.startswith(str(installation)) and file.endswith(suffix) for file in files)


def test_the_pure_wheel_has_no_binaries_whatever_lies_about(pure: Path, tmp_path: Path) -> None:
    assert pure.name.endswith("-py3-none-any.whl")
    assert binaries(names_in(pure)) == []
    assert version(unpacked(pure, tmp_path)).endswith(
        " (pure Python: TRIO_POOL_PURE was set when it was installed)"
    )


def test_without_a_compiler_the_wheel_is_pure_and_says_why(tree: Path, tmp_path: Path) -> None:
    folder, installation = tmp_path / "wheel", tmp_path / "installed"
    folder.mkdir()

    done = pip_wheel(tree, folder, CC="no-such-compiler")

    assert done.returncode == 0, done.stderr
    assert "pure Python: there was no C compiler" in done.stdout + done.stderr
    (wheel,) = folder.glob("*-py3-none-any.whl")
    assert binaries(names_in(wheel)) == []
    assert version(unpacked(wheel, installation)).endswith(
        " (pure Python: there was no C compiler when it was installed)"
    )


def test_a_compiler_that_fails_yields_a_pure_wheel_unless_a_compiled_one_is_demanded(
    tree: Path, tmp_path: Path
) -> None:
    made, refused, installation = tmp_path / "made", tmp_path / "refused", tmp_path / "installed"
    made.mkdir()
    refused.mkdir()

    wheel = the_wheel(tree, made, CC="false")
    done = pip_wheel(tree, refused, CC="false", TRIO_POOL_COMPILED="1")

    assert version(unpacked(wheel, installation)).endswith(
        " (pure Python: the modules could not be compiled when it was installed)"
    )
    assert done.returncode != 0
    assert "TRIO_POOL_COMPILED is set" in done.stdout + done.stderr
    assert not list(refused.glob("*.whl"))


def test_nobody_can_ask_for_both_forms(tree: Path, tmp_path: Path) -> None:
    done = pip_wheel(tree, tmp_path, TRIO_POOL_PURE="1", TRIO_POOL_COMPILED="1")

    assert done.returncode != 0
    assert "TRIO_POOL_PURE and TRIO_POOL_COMPILED are both set" in done.stdout + done.stderr


def test_the_sdist_has_all_that_a_build_needs_and_no_binaries(tree: Path, tmp_path: Path) -> None:
    done = python("-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path), cwd=tree)

    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = ["/".join(Path(name).parts[1:]) for name in archive.getnames()]
    assert {".ci/build_hook.py", "pyproject.toml", "README.md"} <= set(names)
    assert {f"{name.replace('.', '/')}.py" for name in modules()} <= set(names)
    assert binaries(names) == []
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    assert the_wheel(sdist, wheels, TRIO_POOL_PURE="1").name.endswith("-py3-none-any.whl")


def test_an_editable_installation_is_pure_and_takes_old_binaries_away(
    tree: Path, tmp_path: Path
) -> None:
    copy, wheels = tmp_path / "copy", tmp_path / "wheels"
    shutil.copytree(tree, copy)
    wheels.mkdir()
    build = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"

    done = python("-c", build, str(wheels), cwd=copy)

    assert done.returncode == 0, done.stderr
    assert "pure Python: an editable installation" in done.stdout + done.stderr
    assert not [name for name in LEFTOVERS if (copy / name).exists()]
    assert version(copy).endswith(" (pure Python: run from its sources)")
