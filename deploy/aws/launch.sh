#!/usr/bin/env bash
# Start a whole cluster on EC2: deploy/aws/launch.sh --help
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
./run_all_mac_or_linux.sh --set-up requirements.txt
dfs_env/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/aws/requirements.txt
exec dfs_env/bin/python -m deploy.aws.launch "$@"
