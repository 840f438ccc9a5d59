#!/usr/bin/env bash
# A node with MinIO and Prometheus: docker/up.sh. Ends with docker/up.sh down (-v removes what was stored, too).
# Images are pulled where that works; where not, they are built from Debian's packages and Go modules (root).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
# npm ci has brought it
node=$root/node_modules/node/bin/node

project=${COMPOSE_PROJECT_NAME:-robustmq}
compose() {
  if docker compose version >/dev/null 2>&1; then docker compose -f "$here/compose.yaml" -p "$project" "$@"
  else docker-compose -f "$here/compose.yaml" -p "$project" "$@"; fi
}
if [ "${1:-}" = down ]; then
  compose "$@"
  exit
fi
"$root/tools/start-docker.sh"
if ! docker compose version >/dev/null 2>&1 && ! command -v docker-compose >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
fi

here_or_pulled() { docker image inspect "$1" >/dev/null 2>&1 || timeout 90 docker pull -q "$1" >/dev/null 2>&1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() { DOCKER_BUILDKIT=0 docker build -q --build-arg "BASE=$base" -t "robustmq/$1:dev" "$work/$1" >/dev/null; }

base=debian:bookworm-slim
if ! here_or_pulled "$base"; then
  base=robustmq/debian:dev
  "$here/debian-image.sh" "$base"
fi

echo "building robustmq/server:dev"
mkdir -p "$work/server/app"
(cd "$root" && PATH="$root/node_modules/.bin:$PATH" npm run --silent pack >/dev/null)
(cd "$work/server/app" && echo '{"private":true}' >package.json &&
  PATH="$root/node_modules/.bin:$PATH" npm install --silent --no-audit --no-fund --prefer-offline --install-strategy=hoisted "$root"/packed/*.tgz)
cp "$node" "$work/server/node"
cp "$here/server.Dockerfile" "$work/server/Dockerfile"
cp "$here/create-bucket.mjs" "$work/server/"
build server

export MINIO_IMAGE=${MINIO_IMAGE:-quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z}
if ! here_or_pulled "$MINIO_IMAGE"; then
  "$here/build-s3-images.sh"
  MINIO_IMAGE=robustmq/minio:dev
fi
export PROMETHEUS_IMAGE=${PROMETHEUS_IMAGE:-prom/prometheus:v3.5.0}
if ! here_or_pulled "$PROMETHEUS_IMAGE"; then
  PROMETHEUS_IMAGE=robustmq/prometheus:dev
  if ! docker image inspect "$PROMETHEUS_IMAGE" >/dev/null 2>&1; then
    echo "building $PROMETHEUS_IMAGE"
    mkdir -p "$work/deb" "$work/prometheus"
    # apt gives up root while it downloads
    chmod 755 "$work" && chmod 777 "$work/deb"
    (cd "$work/deb" && apt-get download -qq prometheus && dpkg -x prometheus_*.deb .)
    cp "$work/deb/usr/bin/prometheus" "$work/prometheus/"
    cp "$here/prometheus.Dockerfile" "$work/prometheus/Dockerfile"
    build prometheus
  fi
fi
compose up -d
echo "Again without this script: MINIO_IMAGE=$MINIO_IMAGE PROMETHEUS_IMAGE=$PROMETHEUS_IMAGE docker compose -f docker/compose.yaml -p $project up"
