"""Gates that need Terraform, its AWS provider, or other tools: skipped by name and counted where those are absent.

The provider is looked for where Terraform keeps plugins, or in the folder that FRESHET_TERRAFORM_PLUGINS names; nothing is
downloaded.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terraform.tables import TERRAFORM

ROOTS = (Path.home() / ".terraform.d", Path("/usr/share"), Path("/usr/local/share"), Path("/opt"))
Run = Callable[..., subprocess.CompletedProcess[str]]


def plugins() -> Path | None:
    """The folder that holds the AWS provider, as ``terraform init -plugin-dir`` wants it."""
    if named := os.environ.get("FRESHET_TERRAFORM_PLUGINS"):
        return Path(named)
    for root in ROOTS:
        for depth in ("*/*", "*/*/*"):  # <folder>/<host>/hashicorp/aws
            for found in root.glob(f"{depth}/hashicorp/aws"):
                return found.parents[2]
    return None


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run Terraform in a copy of ``infra/terraform``; skips where it or its provider is absent."""
    program, providers = shutil.which("terraform"), plugins()
    if program is None:
        pytest.skip("terraform is not here")
    if providers is None:
        pytest.skip("Terraform's AWS provider is not here; FRESHET_TERRAFORM_PLUGINS names its folder")
    copy = tmp_path_factory.mktemp("terraform") / "terraform"
    shutil.copytree(TERRAFORM, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    quiet = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}

    def run(folder: str, *arguments: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [program, f"-chdir={copy / folder}", *arguments]
        if arguments[0] == "init":
            command += [f"-plugin-dir={providers}", "-backend=false"]
        environment = os.environ | quiet | (variables or {})
        return subprocess.run([*command, "-no-color"], env=environment, capture_output=True, text=True, check=False)

    run.copy = copy  # type: ignore[attr-defined]
    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name and count the gates that did not run, and those that ran on a stand-in."""

    def of(outcome: str) -> list[pytest.TestReport]:
        return [r for r in terminalreporter.stats.get(outcome, []) if "tests/terraform" in getattr(r, "nodeid", "")]

    passed, failed, skipped = of("passed"), of("failed"), of("skipped")
    if not passed and not failed and not skipped:
        return
    stood_in = [report for report in passed if "stand_in" in report.nodeid]
    terminalreporter.section("terraform gates")
    terminalreporter.write_line(
        f"{len(passed)} passed, {len(stood_in)} of them on a stand-in for AWS; {len(failed)} failed; {len(skipped)} skipped"
    )
    for report in stood_in:
        terminalreporter.write_line(f"on a stand-in  {report.nodeid}")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"SKIPPED        {report.nodeid}: {reason}")
