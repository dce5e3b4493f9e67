#!/usr/bin/env bash
# Set this EC2 host up with the code in a folder: set_up_host.sh FOLDER. Safe to run again.
# Who the host is stands in its tags (Role, Node, Data_Volume), what the stack chose in /etc/dfs/aws.env.
# No secret is ever an argument or in a log: the parameter store's answers go from Python straight into files.
set -euo pipefail

export DFS_HOME=/etc/dfs
readonly METADATA=http://169.254.169.254/latest

main() {
    local source="$1" role node
    role="$(own_tag Role)"
    node="$(own_tag Node)"
    umask 022
    install_code "$source"
    cd /opt/dfs/current
    write_configuration "$role"
    if [ "$role" = worker ]; then
        deploy/aws/mount_volume.sh "$(own_tag Data_Volume)" /var/lib/dfs
    elif [ "$role" = master ] && [ "$WITH_MONGODB" = true ]; then
        deploy/aws/mount_volume.sh "$(own_tag Data_Volume)" /var/lib/mongodb
        deploy/aws/install_mongodb.sh "$node"
    fi
    start_service "$role" "$node"
    echo "dfs: $node is set up"
}

own_tag() {
    local token
    token="$(curl -fsS --retry 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$METADATA/api/token")"
    curl -fsS --retry 5 -H "X-aws-ec2-metadata-token: $token" "$METADATA/meta-data/tags/instance/$1"
}

# A version is whole before the link points to it, so that an installation that was broken off is never run.
install_code() {
    local source="$1" version folder
    version="$(git -C "$source" rev-parse --short=12 HEAD)"
    folder="/opt/dfs/$version"
    if [ ! -e "$folder/.complete" ]; then
        mkdir -p /opt/dfs
        rm -rf "$folder"
        cp -r "$source" "$folder"
        "$folder/run_all_mac_or_linux.sh" --set-up requirements.txt
        (cd "$folder" && dfs_env/bin/python -m compileall -q api_gateway common master_node storage)
        touch "$folder/.complete"
    fi
    ln -sfn "$folder" /opt/dfs/current
}

write_configuration() {
    local role="$1" parameters=("DFS_CLUSTER_SECRET=$SECRET_PARAMETER")
    if [ "$role" = master ]; then parameters+=("MONGO_URI=$MONGO_URI_PARAMETER"); fi
    # The system's Python: it has boto3, which the services do not need.
    /usr/bin/python3 -m deploy.aws.write_secrets /etc/dfs/.env deploy/systemd/paths.env "${parameters[@]}"
    chown -R root:dfs /etc/dfs
    chmod 0750 /etc/dfs
    chmod 0640 /etc/dfs/config.json /etc/dfs/.env
}

start_service() {
    local role="$1" node="$2" unit
    unit="dfs-$role@$node"
    if [ "$role" = gateway ]; then unit=dfs-gateway; fi
    install -m 0644 deploy/systemd/*.service deploy/systemd/*.socket /etc/systemd/system/
    deny_credentials "$unit"
    if [ "$role" = gateway ]; then deny_credentials dfs-gateway-handover; fi
    systemctl daemon-reload
    systemctl enable --quiet "$unit"
    # Not waited for: a service is up only once its database or its peers are.
    systemctl restart --no-block "$unit"
}

# A service has no business with what the host itself may do.
deny_credentials() {
    install -d "/etc/systemd/system/$1.service.d"
    printf '[Service]\nIPAddressDeny=169.254.169.254/32 fd00:ec2::254/128\n' \
        >"/etc/systemd/system/$1.service.d/aws.conf"
}

main "$@"
