"""The compiled form: mypyc over the modules that pyproject.toml lists, before hatchling packs.

One source, two forms. A wheel is compiled when there is a C compiler, else it is pure Python
and says so (`trio-pool --version`). `TRIO_POOL_PURE=1` forces the pure form; with
`TRIO_POOL_COMPILED=1` a failure to compile is an error. An editable installation is pure, since
binaries beside sources that change are a trap; `TRIO_POOL_COMPILED=1` compiles it in place.

As a program (`python .ci/build_hook.py FOLDER MODULE.py ...`) it compiles the modules into
FOLDER. Why a process of its own: mypy and setuptools print, exit and change the directory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PURE = "TRIO_POOL_PURE"
COMPILED = "TRIO_POOL_COMPILED"
PACKAGES = ("protocol", "trio_pool")
# What all compiled modules share; the name also says into which package it goes.
GROUP = "protocol.compiled"
# Read by protocol.form.
RECORD = "protocol/form.txt"
# Nobody else calls what is in the shared one: the compiler may put one function into another, and
# need not ask the loader where each of them is.
BY_ITSELF = ["-fvisibility=hidden", "-fno-semantic-interposition", "-fno-plt"]


class CompileHook(BuildHookInterface[BuilderConfig]):
    """Called by hatchling for every wheel, editable ones included."""

    _scratch: str | None = None

    def dependencies(self) -> list[str]:
        """What compiling needs; the types of what the modules import are among it."""
        # Why not by version: hatchling does not say here whether the wheel will be editable.
        if why_pure("standard") is not None:
            return []
        requires: list[str] = self.config["requires"]
        return [*requires, *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Compile, or note why not. Raises RuntimeError when it must compile and cannot."""
        root = Path(self.root)
        if version == "editable":
            remove_binaries(root)
        scratch = self._scratch = tempfile.mkdtemp(prefix="trio-pool-")
        reason = why_pure(version)
        if reason is None:
            reason = self._compile(root, Path(scratch))
        if reason is not None:
            self.app.display_warning(f"trio-pool is installed as pure Python: {reason}")
            if version == "editable":
                return
        if version == "editable":
            copy_into(root, Path(scratch, "lib"))
            Path(root, RECORD).write_text("in place\n")
            return
        forced = {str(file): name for file, name in files_in(Path(scratch, "lib"))}
        if reason is None:
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
        else:
            record = Path(scratch, "form.txt")
            record.write_text(f"{reason}\n")
            forced = {str(record): RECORD}
        build_data["force_include"] = forced

    def finalize(self, version: str, build_data: dict[str, object], artifact_path: str) -> None:
        """Leave nothing behind."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _compile(self, root: Path, scratch: Path) -> str | None:
        """Why it did not work, or None. What the compilers said goes to the build's output."""
        modules = listed(root, self.config["modules"])
        command = [sys.executable, str(Path(__file__).resolve()), str(scratch), *modules]
        self.app.display_info(f"compiling {len(modules)} modules, which takes a minute or two")
        done = subprocess.run(command, cwd=root, check=False)
        if done.returncode == 0:
            return None
        if is_set(COMPILED):
            raise RuntimeError(f"{COMPILED} is set, and the modules could not be compiled")
        return "the modules could not be compiled when it was installed"


def is_set(variable: str) -> bool:
    """Whether the environment says yes."""
    return os.environ.get(variable, "") not in ("", "0")


def why_pure(version: str) -> str | None:
    """Why this build is pure Python from the start; None when it is to be compiled."""
    if is_set(PURE):
        if is_set(COMPILED):
            raise RuntimeError(f"{PURE} and {COMPILED} are both set")
        return f"{PURE} was set when it was installed"
    if is_set(COMPILED):
        return None
    if version == "editable":
        return "an editable installation"
    return None if has_compiler() else "there was no C compiler when it was installed"


def has_compiler() -> bool:
    """Whether the compiler that Python's own build names, or CC, can be found."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(shlex.split(command)[0]) is not None


def listed(root: Path, patterns: list[str]) -> list[str]:
    """The modules that `patterns` name. Raises RuntimeError when one names none."""
    modules = []
    for pattern in patterns:
        found = sorted(path for path in root.glob(pattern) if path.name != "__init__.py")
        if not found:
            raise RuntimeError(f"pyproject.toml: {pattern} is to be compiled and does not exist")
        modules += [path.relative_to(root).as_posix() for path in found]
    return modules


def files_in(folder: Path) -> list[tuple[Path, str]]:
    """Every file below `folder`, with its name from there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path, path.relative_to(folder).as_posix()) for path in files]


def copy_into(root: Path, folder: Path) -> None:
    """Put compiled modules beside their sources."""
    for file, name in files_in(folder):
        shutil.copy(file, root / name)


def remove_binaries(root: Path) -> None:
    """Take away what an earlier build has put beside the sources, for this Python."""
    for package in PACKAGES:
        for source in (root / package).rglob("*"):
            if source.name.endswith(EXTENSION_SUFFIXES[0]):
                source.unlink()
    (root / RECORD).unlink(missing_ok=True)


def compile_modules(folder: Path, modules: list[str]) -> None:
    """Write `folder`/lib with an extension module for each of `modules`, and the shared one."""
    # Why here: only a build that compiles has them.
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    extensions = mypycify(
        modules, opt_level="3", debug_level="0", group_name=GROUP, target_dir=str(folder / "c")
    )
    if sys.platform == "linux":
        for extension in extensions:
            extension.extra_compile_args += BY_ITSELF
    # Why not `setup()`: it reads the project's own pyproject.toml, which is not for setuptools.
    command = build_ext(Distribution({"name": "trio-pool", "ext_modules": extensions}))
    command.build_lib = str(folder / "lib")
    command.build_temp = str(folder / "o")
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    compile_modules(Path(sys.argv[1]), sys.argv[2:])
