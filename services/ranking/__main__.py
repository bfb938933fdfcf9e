"""``python -m services.ranking``: serve on FRESHET_HOST and FRESHET_RANKING_PORT, one process."""

import os
import signal
import socket
import sys

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> int:
    """Run the service; returns the exit status."""
    for name in THREADS:  # before numpy is imported: a small matrix is faster on one thread, and leaves the others in peace
        os.environ.setdefault(name, "1")
    import uvicorn

    from services.ranking.doors import FastPath
    from services.ranking.one_write import Protocol
    from services.ranking.service import doors, service
    from services.ranking.settings import RankingSettings
    from shared.errors import FreshetError
    from shared.telemetry import log

    try:
        settings = RankingSettings.read()
        log("ranking", settings.log_level).info("listening", host=settings.host, port=settings.ranking_port)
        config = uvicorn.Config(
            FastPath(service.to_asgi(), doors),  # outermost: past BentoML's timer and tracing, which cost more than the model
            http=Protocol,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=settings.ranking_drain_seconds,
        )
        server = uvicorn.Server(config)
        doors.on_failure(lambda: setattr(server, "should_exit", True))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn drains on them, and raises them again once it is done
        server.run([socket.create_server((settings.host, settings.ranking_port), backlog=2048)])
    except (FreshetError, OSError) as error:
        log("ranking").error("stopped", detail=str(error))
        return 1
    return 1 if doors.failed else 0


if __name__ == "__main__":
    sys.exit(main())
