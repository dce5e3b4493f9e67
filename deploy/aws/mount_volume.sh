#!/usr/bin/env bash
# Mount an EBS volume for good: mount_volume.sh VOLUME_ID FOLDER. Safe to run again.
# It is formatted only if nothing at all is found on it, and mounted by the UUID of its file system, so that it is never
# taken for another one. Device names do not matter: Nitro instances name a volume's disk after the volume.
set -euo pipefail

readonly DISKS="${DFS_TEST_DISKS:-/dev/disk/by-id}" FSTAB="${DFS_TEST_FSTAB:-/etc/fstab}"

main() {
    local volume_id="$1" folder="$2" device uuid
    device="$DISKS/nvme-Amazon_Elastic_Block_Store_${volume_id/-/}"
    wait_for "$device"
    if is_blank "$device"; then
        # Without -f, mkfs.xfs itself refuses a disk on which it finds something.
        mkfs.xfs -q "$device"
        # So that blkid below sees what was written.
        sync "$device"
    fi
    uuid="$(blkid -p -s UUID -o value "$device")"
    [ -n "$uuid" ] || fail "$device holds something that is not a file system; it is left alone"
    write_fstab "$uuid" "$folder"
    mkdir -p "$folder"
    systemctl daemon-reload
    mountpoint -q "$folder" || mount "$folder"
}

# The volume is attached only after the instance runs.
wait_for() {
    local tries=0
    until [ -e "$1" ]; do
        tries=$((tries + 1))
        [ "$tries" -le 120 ] || fail "$1 did not appear; is the volume attached?"
        sleep 5
    done
}

# blkid ends with 2 when it finds nothing; with 8 when it cannot tell, and then nothing is formatted.
is_blank() {
    local status=0
    blkid -p "$1" >/dev/null || status=$?
    case "$status" in
        0) return 1 ;;
        2) [ -z "$(wipefs --noheadings "$1")" ] ;;
        *) fail "blkid cannot tell what is on $1 (status $status); it is left alone" ;;
    esac
}

# nofail: a host whose volume is missing still boots, so that one can look; its service waits for the mount all the same.
write_fstab() {
    local uuid="$1" folder="$2" others
    others="$(grep -v "[[:space:]]$folder[[:space:]]" "$FSTAB" || true)"
    printf '%s\nUUID=%s %s xfs defaults,noatime,nofail,x-systemd.device-timeout=60s 0 2\n' \
        "$others" "$uuid" "$folder" >"$FSTAB.new"
    mv "$FSTAB.new" "$FSTAB"
}

fail() { echo "mount_volume: $*" >&2; exit 1; }

main "$@"
