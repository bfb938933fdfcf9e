"""``freshet lag``: how far each service is behind what it reads."""

from infra.local.console import local_stack, plainly
from infra.local.operate import lag as lagging
from infra.local.operate.commands.tables import table
from infra.local.progress import console


def show() -> None:
    """How old the last record is that each service read, by topic."""
    with plainly():
        urls = {service.name: lagging.replicas(service.host, service.port) for service in local_stack().services}
        rows = table("service", "topic", "partitions", "oldest last record")
        for (service, topic), (seconds, partitions) in lagging.ages(urls).items():
            rows.add_row(service, topic, str(partitions), f"{seconds:,.1f} s")
        console.print(rows if rows.row_count else "no service has read a record since it started: look whether they run")
