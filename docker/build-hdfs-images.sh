#!/usr/bin/env bash
# robustmq/hdfs:dev, for a Docker engine that can pull no image. Two to four minutes the first time, most of them for the base.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

"$here/../tools/install-hdfs.sh"
hadoop=$(sed -n 's:.*<hadoop.version>\(.*\)</hadoop.version>.*:\1:p' "$here/hdfs/pom.xml")
recipe=$(cat "$here/hdfs.Dockerfile" "$here"/hdfs/*.sh | sha256sum | cut -c1-12)
# an image of another Hadoop, or of another recipe, is built anew
version=$hadoop-$recipe
built=$(docker image inspect --format '{{index .Config.Labels "robustmq.version"}}' robustmq/hdfs:dev 2>/dev/null || true)
if [ "$built" = "$version" ]; then exit 0; fi

base=debian:bookworm-slim
if ! docker image inspect "$base" >/dev/null 2>&1 && ! timeout 90 docker pull -q "$base" >/dev/null 2>&1; then
  base=robustmq/debian-java:dev
  "$here/debian-image.sh" "$base" openjdk-17-jre-headless
fi

echo "building robustmq/hdfs:dev of $version"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/lib"
cp "${ROBUST_CACHE:-$HOME/.cache/robustmq}/hdfs/$hadoop/lib"/*.jar "$context/lib/"
cp "$here"/hdfs/*.sh "$context/"
cp "$here/hdfs.Dockerfile" "$context/Dockerfile"
# the classic builder is there in every engine; buildx is not
if ! DOCKER_BUILDKIT=0 docker build --build-arg "BASE=$base" --label "robustmq.version=$version" -t robustmq/hdfs:dev "$context" >"$context/log" 2>&1; then
  cat "$context/log" >&2
  exit 1
fi
