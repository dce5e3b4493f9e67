#!/usr/bin/env bash
# Run all tests: ./run_tests.sh   (further arguments go to pytest)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
./run_all_mac_or_linux.sh --set-up requirements-dev.txt
if [ "$#" -gt 0 ]; then
    exec dfs_env/bin/python -m pytest "$@"
fi
# What breaks or loads whole clusters runs by itself.
status=0
dfs_env/bin/python -m pytest -m "not alone" -n logical --maxprocesses 4 --dist worksteal || status=$?
dfs_env/bin/python -m pytest -m alone || status=$?
exit "$status"
