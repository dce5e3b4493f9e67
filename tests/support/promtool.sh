#!/bin/sh
# Puts Prometheus' promtool into the folder $1 and prints its path. Taken out of Debian's package `prometheus`, so that
# nothing is installed and no service is started. Status 3: it cannot be had here.
set -eu
out=$1
if found=$(command -v promtool); then
    echo "$found"
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then
    echo "promtool: not installed, and there is no apt-get to fetch it with" >&2
    exit 3
fi
mkdir -p "$out"
cd "$out"
if ! { apt-get -qq update && apt-get -qq download prometheus; } >&2; then
    echo "promtool: apt-get cannot fetch the package prometheus" >&2
    exit 3
fi
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
rm prometheus_*.deb
echo "$out/usr/bin/promtool"
