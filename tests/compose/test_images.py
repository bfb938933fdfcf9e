"""What is in the images: packages that follow from the lock, nothing secret, nothing that builds."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from infra.images import needs
from tests.compose.project import ROOT, services

DOCKERFILE = (ROOT / "infra" / "images" / "Dockerfile").read_text()
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path[:0], lacking = sys.argv[1:3], set()
for package in map(importlib.import_module, sys.argv[3:]):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            lacking.add(f"{module.name} imports {error.name}")
sys.exit("\\n".join(sorted(lacking)) or 0)
"""
OPERATE = """
import runpy, sys
sys.path[:0] = sys.argv[1:3]
sys.argv = ["freshet", *sys.argv[3:]]
runpy.run_module("infra.local.operate", run_name="__main__")
"""
FORBIDDEN = {"collector", "features", "joiner", "ranking", "shopper"}


def listed(name: str) -> list[str]:
    return (needs.FOLDER / f"{name}.txt").read_text().split()


@pytest.mark.parametrize("name", needs.IMAGES)
def test_the_list_of_packages_is_what_the_lock_and_the_extras_say(name: str) -> None:
    assert listed(name) == needs.needs(needs.IMAGES[name]), "run: python -m infra.images.needs"


def test_there_is_a_list_for_each_image_and_no_other() -> None:
    assert {path.stem for path in needs.FOLDER.glob("*.txt")} == set(needs.IMAGES)
    built = {service["image"].split(":")[0].removeprefix("freshet-") for service in services().values() if "build" in service}
    assert built == set(needs.IMAGES)


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_serving_images_hold_neither_torch_nor_feast(name: str) -> None:
    assert not {"torch", "feast", "triton"} & set(listed(name))


def test_the_ranking_image_has_not_outgrown_its_350_mb() -> None:
    """Packages of 251 MB as installed made an image of 344 (``infra/README.md``)."""
    sizes = {package: sum(file.size or 0 for file in distribution(package).files or ()) / 1e6 for package in listed("ranking")}
    assert sum(sizes.values()) <= 257, sorted(sizes.items(), key=lambda one: -one[1])[:5]


def _installed(name: str, folder: Path) -> Path:
    """A folder of packages as the image has it: links to what this environment holds of them."""
    for package in listed(name):
        try:
            here = distribution(package)
        except PackageNotFoundError:  # of another kind of machine
            continue
        for top in {file.parts[0] for file in here.files or ()} - {"..", "__pycache__"}:
            link = folder / top
            if not link.exists():
                link.symlink_to(here.locate_file(top))
    return folder


@pytest.mark.parametrize("name", needs.IMAGES)
def test_all_that_an_image_runs_imports_with_the_image_s_own_packages(name: str, tmp_path: Path) -> None:
    besides = {"operator": ("infra.local", "feature_repo"), "updater": ("services.updater", "infra.local.operate")}
    packages = besides.get(name, (f"services.{name}",))
    here, held = str(ROOT), str(_installed(name, tmp_path))
    done = subprocess.run([sys.executable, "-I", "-S", "-c", IMPORT_ALL, here, held, *packages], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [("bundles", "adopt"), ("windows", "bisect", "v1")], ids=" ".join)
def test_a_command_that_needs_torch_says_where_it_runs(command: tuple[str, ...], tmp_path: Path) -> None:
    run = [sys.executable, "-I", "-S", "-c", OPERATE, str(ROOT), str(_installed("operator", tmp_path)), *command]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "docker compose run --rm learner" in done.stdout


def test_the_updater_s_image_has_the_code_of_the_operators_commands() -> None:
    stage = DOCKERFILE[DOCKERFILE.index("AS updater-code") : DOCKERFILE.index("AS operator-code")]
    assert "COPY infra/local infra/local" in stage
    assert services()["learner"]["entrypoint"] == ["python", "-m", "infra.local.operate"]


def test_no_image_holds_what_builds_or_tests() -> None:
    for name in needs.IMAGES:
        assert not {"pip", "uv", "wheel", "setuptools", "pytest", "mypy", "ruff", "moto"} & set(listed(name)), name


def test_a_build_takes_the_lines_of_the_listed_packages_whole(tmp_path: Path) -> None:
    script = re.search(r"awk '(NR == FNR .*?)'", DOCKERFILE, re.DOTALL)
    assert script
    (tmp_path / "list.txt").write_text("aiohttp\nxxhash\n")
    wanted = subprocess.run(
        [shutil.which("awk") or "awk", script[1], tmp_path / "list.txt", ROOT / "requirements.lock"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    lock = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"^([a-z0-9-]+)==", wanted, re.MULTILINE) == ["aiohttp", "xxhash"]
    assert wanted.count("--hash=") == sum(
        len(re.findall("--hash=", block)) for block in re.split(r"\n(?=[a-z])", lock) if re.match("(aiohttp|xxhash)==", block)
    )


def test_the_last_stages_run_as_nobody_in_particular_and_carry_labels_and_health() -> None:
    assert "USER 10001:10001" in DOCKERFILE
    assert "HEALTHCHECK" in DOCKERFILE
    assert "curl" not in DOCKERFILE
    for label in ("title", "description", "licenses", "version", "vendor"):
        assert f"org.opencontainers.image.{label}" in DOCKERFILE


def test_installations_are_by_hash_and_build_nothing() -> None:
    for line in re.findall(r"(?:pip install|uv pip sync)[^&]*", DOCKERFILE):
        assert "--require-hashes" in line
    assert "UV_NO_BUILD=1" in DOCKERFILE
    assert "--only-binary :all:" in DOCKERFILE
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    assert [stage.split()[2] for stage in stages[1:] if "apt-get" in stage] == ["packages"]  # `strip`; no image has it
    assert not re.search("gcc|build-essential", DOCKERFILE)


def test_the_build_context_holds_neither_keys_nor_environments() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {"**/.env*", "**/*.pem"} <= set(lines)
