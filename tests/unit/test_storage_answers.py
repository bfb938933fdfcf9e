"""A write whose answer was lost is looked up before it is sent again."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from shared.bundles import objects as module
from shared.bundles.objects import Lost, S3Objects
from shared.errors import StorageUnavailable


def refusal(status: int, code: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code or str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


class Bucket:
    """A client that fails as told: each entry is (whether the write happens, what is raised)."""

    def __init__(self, *troubles: tuple[bool, Exception]) -> None:
        self.troubles, self.stored, self.puts = list(troubles), {}, 0

    def put_object(self, **request: Any) -> dict[str, str]:
        self.puts += 1
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is None or trouble[0]:
            if request["Key"] in self.stored and "IfNoneMatch" in request:
                raise refusal(412)
            self.stored[request["Key"]] = request["Body"]
        if trouble:
            raise trouble[1]
        return {"ETag": "new"}

    def get_object(self, **request: Any) -> dict[str, Any]:
        if request["Key"] not in self.stored:
            raise refusal(404, "NoSuchKey")
        data = self.stored[request["Key"]]
        return {"ETag": "seen", "Body": type("Body", (), {"read": lambda _: data})()}


LOST = ReadTimeoutError(endpoint_url="s3")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda _: None)


def test_a_write_that_happened_is_not_sent_again() -> None:
    bucket = Bucket((True, LOST))
    assert S3Objects(bucket, "b").create("k", b"mine") == "seen"
    assert bucket.puts == 1


def test_a_write_that_did_not_happen_is_sent_again() -> None:
    bucket = Bucket((False, LOST))
    assert S3Objects(bucket, "b").create("k", b"mine") == "new"
    assert bucket.stored["k"] == b"mine"


def test_a_conflict_is_tried_again() -> None:
    bucket = Bucket((False, refusal(409)), (False, refusal(409)))
    assert S3Objects(bucket, "b").create("k", b"mine") == "new"


def test_a_lost_answer_that_hid_anothers_win_is_lost() -> None:
    bucket = Bucket((False, LOST))
    bucket.stored["k"] = b"theirs"
    with pytest.raises(Lost):
        S3Objects(bucket, "b").create("k", b"mine")


def test_what_never_answers_is_unavailable() -> None:
    bucket = Bucket(*[(False, LOST)] * 9)
    with pytest.raises(StorageUnavailable, match="FRESHET_S3"):
        S3Objects(bucket, "b").create("k", b"mine")


def test_a_bucket_that_is_missing_is_unavailable_not_lost() -> None:
    with pytest.raises(StorageUnavailable):
        S3Objects(Bucket((False, refusal(404, "NoSuchBucket"))), "b").create("k", b"mine")
