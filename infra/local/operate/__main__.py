"""``python -m infra.local.operate``: the operators' commands alone, in the updater's image too, whose torch some of them need."""

import typer

from infra.local.operate.commands import register

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="What operators do.")
register(app)

if __name__ == "__main__":
    app()
