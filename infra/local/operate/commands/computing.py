"""Commands that compute with the model."""

from importlib.util import find_spec

from shared.errors import BadSettings


def require_torch() -> None:
    """Refuse where it is not, as in the operators' own image.

    Raises:
        BadSettings: says where the command can be run instead.
    """
    if find_spec("torch") is None:
        where = "in compose `docker compose run --rm learner`, on AWS a task of the updater; the page of operations has both"
        raise BadSettings(f"this command computes with the model, and torch is not here. It runs in the updater's image: {where}")
