"""Terraform itself: formatted, valid, every property asserted, and an example that applies, stays as it is, and goes again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.local.settings import ROOT
from tests.terraform.conftest import Run
from tests.terraform.tables import TERRAFORM

pytestmark = pytest.mark.timeout(1_200)
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "stand-in",
    "AWS_SECRET_ACCESS_KEY": "stand-in",
    "AWS_EC2_METADATA_DISABLED": "true",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
}
SHARED = ("region", "image_tag", "metrics_tag", "certificate_arn", "client_cidrs", "operator_arns")
"""What both examples are told."""
OVERRIDE = 'provider "aws" {\n  s3_use_path_style = true\n  max_retries       = 1\n}\n'


@dataclass(frozen=True)
class StandIn:
    """moto's address as environment, and what bring-your-own is told."""

    environment: dict[str, str]
    own: dict[str, Any]

    def client(self, service: str) -> Any:
        """A client of one of its services."""
        keys = {"aws_access_key_id": "stand-in", "aws_secret_access_key": "stand-in"}
        return boto3.client(service, region_name=self.own["region"], endpoint_url=self.environment["AWS_ENDPOINT_URL"], **keys)


def done(result: subprocess.CompletedProcess[str]) -> str:
    """The output of a command that must have ended well."""
    assert result.returncode == 0, (result.stdout + result.stderr)[-6_000:]
    return result.stdout


def test_it_is_formatted(terraform: Run) -> None:
    done(terraform(".", "fmt", "-check", "-recursive"))


@pytest.mark.parametrize("example", ["complete", "bring-your-own"])
def test_an_example_is_valid(terraform: Run, example: str) -> None:
    done(terraform(f"examples/{example}", "init"))
    done(terraform(f"examples/{example}", "validate"))


def test_the_properties_hold(terraform: Run) -> None:
    """``terraform test`` with mocked providers: one assertion for each sentence that the modules promise."""
    done(terraform(".", "init"))
    assert "Success!" in done(terraform(".", "test"))


def test_bring_your_own_on_a_stand_in_for_aws(terraform: Run, aws: StandIn) -> None:
    """Apply, a plan without changes, destroy; what an operator fills in meanwhile is in no state."""
    folder = "examples/bring-your-own"
    place: Path = terraform.copy / folder  # type: ignore[attr-defined]
    (place / "stand_in_override.tf").write_text(OVERRIDE)
    (place / "terraform.tfvars.json").write_text(json.dumps(aws.own))
    done(terraform(folder, "init"))
    done(terraform(folder, "apply", "-auto-approve", variables=aws.environment))
    plan = terraform(folder, "plan", "-detailed-exitcode", variables=aws.environment)
    assert plan.returncode == 0, plan.stdout[-6_000:]
    secrets, client = json.loads(done(terraform(folder, "output", "-json", "secrets"))), aws.client("secretsmanager")
    for arn in secrets.values():
        client.put_secret_value(SecretId=arn, SecretString="filled-in-by-hand")
    done(terraform(folder, "apply", "-refresh-only", "-auto-approve", variables=aws.environment))
    state = (place / "terraform.tfstate").read_text()
    assert secrets
    assert all(arn in state for arn in secrets.values())
    assert "filled-in-by-hand" not in state
    assert "a-password" not in state  # of the secret that is your own
    assert "Destroy complete!" in done(terraform(folder, "destroy", "-auto-approve", variables=aws.environment))


def test_a_password_that_is_made_on_a_stand_in_for_aws_is_in_the_secret_alone(terraform: Run, aws: StandIn) -> None:
    folder, made = "examples/complete", "module.kafka.aws_secretsmanager_secret_version.scram"
    place: Path = terraform.copy / folder  # type: ignore[attr-defined]
    (place / "stand_in_override.tf").write_text(OVERRIDE)
    (place / "terraform.tfvars.json").write_text(json.dumps({name: aws.own[name] for name in SHARED} | {"kafka_auth": "scram"}))
    done(terraform(folder, "init"))
    done(terraform(folder, "apply", "-auto-approve", f"-target={made}", variables=aws.environment))
    value = json.loads(aws.client("secretsmanager").get_secret_value(SecretId="AmazonMSK_freshet")["SecretString"])
    state = (place / "terraform.tfstate").read_text()
    done(terraform(folder, "destroy", "-auto-approve", variables=aws.environment))
    assert value["username"] == "freshet"
    assert len(value["password"]) >= 32
    assert "AmazonMSK_freshet" in state
    assert value["password"] not in state


@pytest.mark.parametrize(
    "chosen", [{}, {"kafka_auth": "scram", "gpu": True}, {"kafka_kind": "serverless"}], ids=["iam", "scram", "serverless"]
)
def test_complete_can_be_planned_on_a_stand_in_for_aws(terraform: Run, aws: StandIn, chosen: dict[str, Any]) -> None:
    """The plan of an empty account; the stand-in knows no MSK that it could be applied to."""
    folder = "examples/complete"
    place: Path = terraform.copy / folder  # type: ignore[attr-defined]
    (place / "stand_in_override.tf").write_text(OVERRIDE)
    (place / "terraform.tfvars.json").write_text(json.dumps({name: aws.own[name] for name in SHARED} | chosen))
    done(terraform(folder, "init"))
    assert "0 to change, 0 to destroy" in done(terraform(folder, "plan", variables=aws.environment))


@pytest.fixture(scope="module")
def aws() -> Iterator[StandIn]:
    """moto, while the tests last."""
    if find_spec("flask") is None or find_spec("flask_cors") is None:
        pytest.skip("moto's server is not here: pip install 'moto[server]'")
    command = [sys.executable, "-W", "ignore", "-m", "tests.terraform.stand_in"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | CREDENTIALS, text=True, **streams) as process:  # type: ignore[call-overload]
        started = json.loads(process.stdout.readline())
        yield StandIn(CREDENTIALS | {"AWS_ENDPOINT_URL": started["url"]}, started["variables"])
        process.stdin.close()
        process.wait(30)


def test_checkov_finds_nothing_that_is_not_explained() -> None:
    program = shutil.which("checkov")
    if program is None:
        pytest.skip("checkov is not here")
    command = [program, "-d", str(TERRAFORM), "--skip-download", "--framework", "terraform", "--quiet", "--compact", "-o", "json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 200
    assert [(check["check_id"], check["resource"]) for check in found["results"]["failed_checks"]] == []


def test_tflint_finds_nothing() -> None:
    program = shutil.which("tflint")
    if program is None:
        pytest.skip("tflint is not here")
    done(subprocess.run([program, "--recursive"], cwd=TERRAFORM, capture_output=True, text=True, check=False))
