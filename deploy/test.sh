#!/bin/sh
# Sets up the development environment and checks everything: lint, format, types, the direction of imports, tests.
# Options are pytest's; without any, what CI runs.
set -eu
cd "$(dirname "$0")/.."
sh deploy/setup.sh "${FACELINE_ACCELERATOR:-cpu},demo,dev"
PATH="$PWD/.venv/bin:$PATH"
# A line each: in a chain of && only the last one's failure would end this script.
ruff check .
ruff format --check .
mypy
lint-imports
# The tests start hundreds of processes: where nothing may be kept, each would compile everything that it loads.
unset PYTHONDONTWRITEBYTECODE
# One process per file of tests: many of them wait for a broker, and two share the waiting. The long ones come first.
exec python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
