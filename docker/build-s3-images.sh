#!/usr/bin/env bash
# robustmq/minio:dev and robustmq/versitygw:dev, for a Docker engine that can pull no image. Seconds, once the binaries are there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

"$here/../tools/install-s3-servers.sh"
servers=${ROBUST_CACHE:-$HOME/.cache/robustmq}/s3-servers
for name in minio versitygw; do
  context=$(mktemp -d)
  # the version is in the name of the file that the link leads to: an image of another one is built anew
  version=$(basename "$(readlink -f "$servers/$name")")
  built=$(docker image inspect --format '{{index .Config.Labels "robustmq.version"}}' "robustmq/$name:dev" 2>/dev/null || true)
  if [ "$built" != "$version" ]; then
    echo "building robustmq/$name:dev of $version"
    cp "$servers/$name" "$context/$name"
    cp "$here/$name.Dockerfile" "$context/Dockerfile"
    # the classic builder is there in every engine; buildx is not
    if ! DOCKER_BUILDKIT=0 docker build -q --label "robustmq.version=$version" -t "robustmq/$name:dev" "$context" >"$context/log" 2>&1; then
      cat "$context/log" >&2
      exit 1
    fi
  fi
  rm -rf "$context"
done
