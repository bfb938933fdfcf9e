"""Members of a group have fixed names: a worker that comes back on its host finds its partitions waiting."""

import socket

from services.features.settings import FeaturesSettings
from services.joiner.settings import JoinerSettings
from shared.stream import App


def test_a_worker_is_named_by_its_host_where_nothing_else_is_said() -> None:
    assert FeaturesSettings().features_instance == JoinerSettings().joiner_instance == socket.gethostname()


async def test_the_group_knows_it_by_that_name() -> None:
    app = App("features", FeaturesSettings(), instance="a-container", session=10.0)
    assert app.conf.consumer_group_instance_id == "features-a-container"
