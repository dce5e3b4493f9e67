#!/usr/bin/env bash
# Start the whole cluster on this machine: ./run_all_mac_or_linux.sh   (Ctrl-C stops it)
# Makes the virtual environment dfs_env on the first start. `--set-up FILE` only installs the packages of FILE.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

fail() { echo "run_all: $*" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.10 or newer is missing; install it (Debian, Ubuntu: sudo apt-get install python3 python3-venv)"
}

make_environment() {
    local python
    if dfs_env/bin/python -c 'import pip' 2>/dev/null; then return; fi
    python="$(find_python)"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "the module venv of $python is missing; install it (Debian, Ubuntu: sudo apt-get install python3-venv)"
    echo "Making the virtual environment dfs_env ..."
    "$python" -m venv --clear dfs_env || fail "the virtual environment could not be made"
}

install_packages() {
    local requirements="$1" stamp="dfs_env/.installed-$1"
    if cat requirements*.txt | cmp -s - "$stamp"; then return; fi
    echo "Installing the packages of $requirements ..."
    dfs_env/bin/python -m pip install --quiet --disable-pip-version-check -r "$requirements" ||
        fail "the packages of $requirements could not be installed; is there a way to a package index?"
    cat requirements*.txt >"$stamp"
}

requirements=requirements.txt
if [ "${1:-}" = "--set-up" ]; then requirements="${2:?--set-up needs a requirements file}"; fi
make_environment
install_packages "$requirements"
if [ "${1:-}" = "--set-up" ]; then exit 0; fi
exec dfs_env/bin/python -m common.launcher "$@"
