#!/usr/bin/env bash
# Run all tests: ./run_tests.sh   (further arguments go to pytest)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
./run_all_mac_or_linux.sh --set-up requirements-dev.txt
exec dfs_env/bin/python -m pytest "$@"
