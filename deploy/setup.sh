#!/bin/sh
# Makes .venv beside pyproject.toml and installs Faceline with the extras that are named, e.g. setup.sh cpu,demo
# Does nothing when that was done before and neither pyproject.toml nor constraints.txt has changed since.
set -eu
cd "$(dirname "$0")/.."
extras=${1:?name the extras, such as cpu,demo}
stamp=.venv/.faceline
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

fail() {
    echo "$1" >&2
    exit 2
}

find_python() {
    for python in python3.11 python3.12 python3.13 python3; do
        if command -v "$python" >/dev/null && "$python" -c "$new_enough" 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    fail "Faceline needs Python 3.11 or newer, and none was found: install it from python.org or your system's packages"
}

# Whether the stamp names today's files and each of the extras.
is_current() {
    [ -f "$stamp" ] && [ "$(sed -n 1p "$stamp")" = "$sums" ] || return 1
    installed=",$(sed -n 2p "$stamp"),"
    for extra in $(echo "$extras" | tr , ' '); do
        case $installed in *",$extra,"*) ;; *) return 1 ;; esac
    done
}

sums=$(cat pyproject.toml deploy/constraints.txt | cksum)
if [ ! -x .venv/bin/python ]; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments: install its venv package, on Debian and Ubuntu $python-venv"
    echo "making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
.venv/bin/python -c "$new_enough" || fail ".venv has a Python older than 3.11: remove it with rm -r .venv, and try again"
if ! is_current; then
    echo "installing Faceline [$extras] into .venv; the first time it takes some minutes"
    began=$(date +%s)
    # The two accelerators install into one folder: whichever is there goes first when the other is wanted.
    case ",$extras," in *,gpu,*) other=onnxruntime ;; *) other=onnxruntime-gpu ;; esac
    if .venv/bin/python -m pip show --quiet "$other" 2>/dev/null; then
        .venv/bin/python -m pip uninstall --quiet --yes onnxruntime onnxruntime-gpu
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c deploy/constraints.txt -e ".[$extras]" ||
        fail "the installation failed: see the lines above; an internet connection to the Python package index is needed"
    printf '%s\n%s\n' "$sums" "$extras" >"$stamp"
    echo "installed in $(($(date +%s) - began)) s"
fi
