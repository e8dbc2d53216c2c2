#!/bin/sh
# Shows all of Faceline on this machine in two minutes; options are those of `faceline demo`, see --help.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
sh "$root/deploy/setup.sh" "${FACELINE_ACCELERATOR:-cpu},demo"
exec "$root/.venv/bin/faceline" demo "$@"
