"""What every container of the compose file must be, whoever wrote it."""

from pathlib import Path

import pytest

from infra.local.engines import PROPERTIES
from shared import topics
from tests.compose.project import DEVELOPMENT, ENGINES, JOBS, OURS, OUTWARD, project, services, variables

ALL = services()
BY_HAND = {"operator", "learner"}
each = pytest.mark.parametrize("name", ALL)


@each
def test_a_container_is_contained(name: str) -> None:
    service = ALL[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in ("", "0", "root")
    assert not service.get("privileged")
    assert "network_mode" not in service
    assert service["mem_limit"]
    assert service["pids_limit"]


@each
def test_ports_are_published_on_the_loopback_address_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in ALL[name].get("ports", []))


@each
def test_only_what_publishes_a_port_is_on_a_network_with_a_way_out(name: str) -> None:
    assert ("outside" in ALL[name]["networks"]) == ("ports" in ALL[name])
    assert project()["networks"]["inside"] == {"internal": True}


def test_one_file_lets_out_whatever_speaks_to_an_engine_to_traces_or_to_mlflow() -> None:
    told = {name for name, service in ALL.items() if "FRESHET_TRACES" in service.get("environment", {})}
    assert set(project(OUTWARD)["services"]) == told - {"shopper"}  # it calls the doors alone
    assert all(service == {"networks": {"outside": {}}} for service in project(OUTWARD)["services"].values())


@each
def test_nothing_of_the_host_is_mounted_but_read_only_files_of_the_repository(name: str) -> None:
    for volume in ALL[name].get("volumes", []):
        assert not volume.startswith("/var/run")
        if volume.startswith((".", "/")) and ":" in volume:
            assert volume.startswith("./infra/")
            assert volume.endswith(":ro")


@each
def test_what_stays_up_says_whether_it_is_healthy_and_is_started_again(name: str) -> None:
    service = ALL[name]
    if name in JOBS:
        assert service["restart"] == "on-failure"
    elif name not in BY_HAND:
        assert service["restart"] == ("on-failure" if name == "shopper" else "unless-stopped")
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@each
def test_one_waits_for_another_until_it_is_healthy_or_done(name: str) -> None:
    for other, how in ALL[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in JOBS else "service_healthy"
        assert how["condition"] == wanted or (name, other) == ("doors", "ranking"), f"{name} → {other}"


def test_images_are_named_by_the_environment_and_never_latest() -> None:
    for name, service in ALL.items():
        assert service["image"].startswith(("given-", "freshet-")), name
        assert "latest" not in service["image"]


def test_an_empty_address_of_the_storage_is_aws_itself() -> None:
    assert variables()["FRESHET_S3"] == {"-"}  # `:-` would take an empty one for none


def test_every_image_of_ours_is_built_once() -> None:
    built = [service["image"] for service in ALL.values() if "build" in service]
    assert len(built) == len(set(built))
    assert set(built) == {service["image"] for service in ALL.values() if service["image"].startswith("freshet-")}


@pytest.mark.parametrize("name", OURS)
def test_our_health_checks_need_no_program_but_python(name: str) -> None:
    assert ALL[name]["healthcheck"]["test"] == ["CMD", "/app/healthy"]


@pytest.mark.parametrize("name", ["features", "joiner", "ranking", "collector"])
def test_what_is_scaled_takes_no_name_port_or_instance_of_its_own(name: str) -> None:
    assert not {"container_name", "ports", "hostname"} & set(ALL[name])
    assert not any(key.endswith("_INSTANCE") for key in ALL[name]["environment"])


def test_there_is_one_updater_on_whatever_device() -> None:
    cpu, gpu = ALL["updater"], ALL["updater-gpu"]
    assert cpu["container_name"] == gpu["container_name"]  # the second is refused
    assert not set(cpu["profiles"]) & set(gpu["profiles"])
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_only_the_updater_and_what_makes_the_key_can_sign() -> None:
    holders = {name for name, service in ALL.items() for volume in service.get("volumes", []) if volume.startswith("signing:")}
    assert holders == {"keys", "history", "updater", "updater-gpu", "learner"}
    writers = {name for name in holders if not any(v.startswith("signing:") and v.endswith(":ro") for v in ALL[name]["volumes"])}
    assert writers == {"keys"}


def test_only_who_reads_or_writes_the_storage_has_its_password() -> None:
    holders = {name for name, service in ALL.items() if "AWS_SECRET_ACCESS_KEY" in service.get("environment", {})}
    assert holders == {"seaweedfs", "bucket", "history", "updater", "updater-gpu", "ranking", *BY_HAND}


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_what_operators_run_starts_when_they_say_so_and_finds_the_key_that_verifies(name: str) -> None:
    service = ALL[name]
    assert service["profiles"] == ["operate"]
    assert service["restart"] == "no"
    keys = f"{service['environment']['FRESHET_STATE']}/keys"
    made = {"operator": f"trust:{keys}:ro", "learner": f"signing:{Path(keys).parent}:ro"}
    assert service["volumes"] == [made[name]]
    assert ALL["keys"]["environment"]["FRESHET_STATE"] == ALL["learner"]["environment"]["FRESHET_STATE"]


def test_every_named_volume_is_declared_and_used() -> None:
    used = {volume.split(":")[0] for service in ALL.values() for volume in service.get("volumes", []) if volume[0] not in "./"}
    assert used == set(project()["volumes"])


def test_the_broker_is_set_up_as_in_the_stack_without_docker() -> None:
    def same(name: str) -> str:
        return f"KAFKA_{name.upper().replace('.', '_')}"

    local = dict(line.split("=", 1) for line in PROPERTIES.splitlines())
    differ = {"listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs", "node.id", "process.roles"}
    differ |= {"broker.session.timeout.ms", "broker.heartbeat.interval.ms"}
    environment = {key: str(value) for key, value in ALL["kafka"]["environment"].items()}
    assert {same(name): local[name] for name in local.keys() - differ}.items() <= environment.items()
    assert int(environment["KAFKA_MESSAGE_MAX_BYTES"]) >= int(next(iter(topics.table().values())).configs()["max.message.bytes"])


def test_engines_keep_their_data_in_named_volumes() -> None:
    volumes = {engine: ALL[engine]["volumes"] for engine in ENGINES}
    assert all(volumes[engine][0].startswith(f"{engine}:") for engine in ENGINES)


def test_development_mounts_code_read_only_over_the_services_that_run_all_the_time() -> None:
    changed = project(DEVELOPMENT)["services"]
    assert set(changed) == set(OURS)
    for name, service in changed.items():
        assert all(volume.endswith(":ro") for volume in service["volumes"])
        assert [rule["path"] for rule in service["develop"]["watch"]] == ["./shared", f"./services/{name.removesuffix('-gpu')}"]
