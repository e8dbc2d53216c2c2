#!/bin/sh
# Sets up the development environment and checks everything: lint, format, types, the direction of imports, tests.
set -eu
cd "$(dirname "$0")/.."
sh deploy/setup.sh "${FACELINE_ACCELERATOR:-cpu},demo,dev"
PATH="$PWD/.venv/bin:$PATH"
echo "ruff" && ruff check --quiet . && ruff format --quiet --check .
echo "mypy" && mypy
echo "import-linter" && lint-imports
echo "pytest" && exec python -m pytest -n 2 --dist loadfile "$@"
