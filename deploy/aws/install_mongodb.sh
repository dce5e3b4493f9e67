#!/usr/bin/env bash
# Run a member of the MongoDB replica set on this master: install_mongodb.sh NODE. Safe to run again.
# The first master also starts the set and makes its users, once all members answer.
set -euo pipefail

main() {
    local node="$1"
    if ! command -v mongod >/dev/null; then install_packages; fi
    chown mongodb:mongodb /var/lib/mongodb
    write_key
    write_options "$node"
    systemctl daemon-reload
    systemctl enable --quiet mongod
    systemctl start mongod
    if [ "$node" = master_1 ]; then
        dfs_env/bin/python -m deploy.aws.replica_set initiate
    fi
}

install_packages() {
    curl -fsSL --retry 5 "$MONGODB_KEY_URL" | gpg --dearmor --yes -o /usr/share/keyrings/mongodb-server.gpg
    echo "deb [arch=amd64 signed-by=/usr/share/keyrings/mongodb-server.gpg] $MONGODB_REPOSITORY" \
        >/etc/apt/sources.list.d/mongodb.list
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy mongodb-org-server
    # Unattended upgrades would restart all three members at once.
    apt-mark hold mongodb-org-server
}

write_key() {
    if [ -e /etc/mongod.key ]; then return; fi
    (umask 077 && dfs_env/bin/python -m deploy.aws.replica_set key-file >/etc/mongod.key.new)
    chown mongodb:mongodb /etc/mongod.key.new
    mv /etc/mongod.key.new /etc/mongod.key
}

write_options() {
    dfs_env/bin/python -m deploy.aws.replica_set options "$1" >/etc/mongod.conf
    install -d /etc/systemd/system/mongod.service.d
    printf '[Unit]\nRequiresMountsFor=/var/lib/mongodb\n[Service]\nRestart=always\nRestartSec=2\n' \
        >/etc/systemd/system/mongod.service.d/dfs.conf
}

main "$@"
