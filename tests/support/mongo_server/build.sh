#!/bin/sh
# Builds the MongoDB-compatible test server into the folder $1 (default: .build beside this file).
# Then start it with:  <folder>/mongo-test-server --port 0 --dir DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here/.build}"
out=$(cd "${1:-$here/.build}" && pwd)

want=$(cat "$here/pom.xml" "$here/MongoTestServer.java" "$here/build.sh" | sha256sum)
if [ "$(cat "$out/stamp" 2>/dev/null || true)" = "$want" ]; then
    exit 0
fi
for tool in java javac mvn; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "mongo-test-server: cannot build, '$tool' not found (needs a JDK 17+ and Maven)" >&2
        exit 3
    fi
done

rm -rf "$out/stamp" "$out/lib" "$out/classes"
mvn -q -B -f "$here/pom.xml" -Dstyle.color=never \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DoutputDirectory="$out/lib"
javac --release 17 -cp "$out/lib/*" -d "$out/classes" "$here/MongoTestServer.java"
cat > "$out/mongo-test-server" <<'EOF'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
exec java -XX:+UseSerialGC -Xmx512m \
    -cp "$here/classes:$here/lib/*" MongoTestServer "$@"
EOF
chmod +x "$out/mongo-test-server"
echo "$want" > "$out/stamp"
