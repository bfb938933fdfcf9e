"""A record comes for the first time once, whoever delivers it and however often."""

from shared.messages import Origin
from shared.origins import Origins


def at(offset: int, partition: int = 0, topic: str = "impressions") -> Origin:
    return Origin(topic, partition, offset)


def test_origins_are_new_once_and_in_order() -> None:
    origins = Origins()
    coming = [at(3), at(3, 1), at(3), at(2), at(4)]
    assert [origin for origin in coming if origins.is_new(origin)] == [at(3), at(3, 1), at(4)]


def test_each_partition_of_each_topic_has_its_own() -> None:
    origins = Origins()
    origins.is_new(at(3))
    assert origins.passed(at(2))
    assert not origins.passed(at(2, 1))
    assert not origins.passed(at(2, topic="behaviour"))


def test_what_was_kept_is_passed_after_a_restart() -> None:
    origins = Origins()
    origins.is_new(at(3, topic="a/b"))
    again = Origins.load(origins.state())
    assert again.passed(at(3, topic="a/b"))
    assert again.is_new(at(4, topic="a/b"))
