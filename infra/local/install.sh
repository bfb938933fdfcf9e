#!/bin/sh
# Make .venv from the hash lock. Make calls this when the lock is newer than the stamp; it can be called by hand too.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

python=
for candidate in "${PYTHON:-}" python3 python3.12 python3.13 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    found=$(python3 --version 2>/dev/null || echo none)
    say "Freshet needs Python 3.11, 3.12 or 3.13 and found ${found}: install one, or name it: make PYTHON=/path/to/python3.12"
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    say "$("$python" --version) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)"
    exit 1
fi

free_gb=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1000000))
if [ ! -x .venv/bin/freshet ] && [ "$free_gb" -lt 9 ]; then
    say "only ${free_gb} GB are free on this disk: free at least 9, of which the environment takes 8"
    exit 1
fi

if ! .venv/bin/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
    say "environment: .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
say "environment: the packages of requirements.lock, about 8 GB"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/local/installer.lock
export VIRTUAL_ENV="$PWD/.venv"
# Compiled once, here: where PYTHONDONTWRITEBYTECODE is set every process would compile what it imports again.
.venv/bin/uv pip sync --compile-bytecode --require-hashes requirements.lock infra/local/installer.lock
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation -e .
touch .venv/.installed
