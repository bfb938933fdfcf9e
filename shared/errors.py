"""Every error that Freshet raises on purpose.

FreshetError
├── BadInput            the caller sent something wrong; says which field and what to do
│   ├── NotJson         the body of a request is no JSON at all
│   ├── TooLarge        the body of a request is over the limit
│   └── BadRecord       a record on a topic cannot be used; it goes to the dead letters with its reason
├── Denied              the caller may not do this, or not so often; says what it lacks
├── BadSettings         the service must not start like this; says which setting to change
│   └── TopicDiffers    a topic on the broker is not what the table in topics.py says
├── Unavailable         an engine did not answer; the same call may be sent again
│   ├── KafkaUnavailable
│   ├── StoreUnavailable    (Valkey)
│   └── StorageUnavailable  (S3)
├── BundleRefused       a bundle may not be served; says why
└── Fenced              somebody newer took over; stop without writing
"""


class FreshetError(Exception):
    """The base of every error that Freshet raises on purpose."""


class BadInput(FreshetError):
    """The caller sent something wrong.

    Args:
        reason: what is wrong and what to do, in one sentence.
        field: the offending field's path, such as ``price`` or ``candidates[3].item_id``; empty for the whole body.
        index: the position in the list that was sent, or ``None`` where there is no list.
    """

    def __init__(self, reason: str, *, field: str = "", index: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.field, self.index = reason, field, index


class NotJson(BadInput):
    """The body of a request is no JSON at all."""


class TooLarge(BadInput):
    """The body of a request is over the limit."""


class BadRecord(BadInput):
    """A record on a topic cannot be used; ``code`` is the short reason that is counted (``undecodable``, ``misrouted``)."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Denied(FreshetError):
    """The caller may not do this, or not so often.

    Args:
        status: HTTP's: 401, 403 or 429.
        reason: what it lacks, in one sentence.
        retry: seconds after which it may try again; 0 where waiting would not help.
    """

    def __init__(self, status: int, reason: str, *, retry: int = 0) -> None:
        super().__init__(reason)
        self.status, self.retry = status, retry


class BadSettings(FreshetError):
    """The service must not start like this."""


class TopicDiffers(BadSettings):
    """A topic on the broker is not what the table in ``topics.py`` says."""


class Unavailable(FreshetError):
    """An engine did not answer; the same call may be sent again."""


class KafkaUnavailable(Unavailable):
    """Kafka did not acknowledge in time."""


class StoreUnavailable(Unavailable):
    """The online feature store did not answer in time."""


class StorageUnavailable(Unavailable):
    """The object storage did not answer in time."""


class BundleRefused(FreshetError):
    """A bundle may not be served; ``code`` is the short reason that is counted (``corrupt``, ``forged``, ...)."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Fenced(FreshetError):
    """Somebody newer took over; stop without writing."""
