"""Counts what users do and what is done to items: ``python -m services.features``."""

from services.features.app import build
from services.features.settings import FeaturesSettings
from shared.stream import serve
from shared.telemetry import plainly


def main() -> None:
    """Run until SIGTERM."""
    with plainly("features"):
        settings = FeaturesSettings.read()
    serve("features", settings.log_level, lambda: build(settings), (settings.host, settings.features_port))


if __name__ == "__main__":
    main()
