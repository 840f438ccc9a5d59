#!/usr/bin/env bash
# Brings two S3 servers by different people, MinIO and versitygw, built from their Go modules. Does nothing when they are there: they lie outside of
# the checkout, in ${ROBUST_CACHE:-~/.cache/robustmq}, by version. About four minutes the first time, on two cores.
set -euo pipefail

MINIO=v0.0.0-20260212201848-7aac2a2c5b7c
VERSITYGW=v1.8.0
cache=${ROBUST_CACHE:-$HOME/.cache/robustmq}/s3-servers

minio=$cache/minio-$MINIO
versitygw=$cache/versitygw-$VERSITYGW
if [ ! -x "$minio" ] || [ ! -x "$versitygw" ]; then
  command -v go >/dev/null || "$(dirname "$0")/apt-install.sh" "Go 1.24 or newer" golang-go ca-certificates
  mkdir -p "$cache"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # moved into place when it is whole, so that a build that was stopped leaves nothing half
  build() {
    [ -x "$2" ] && return
    echo "building $1"
    GOBIN=$work CGO_ENABLED=0 GOTOOLCHAIN=auto go install -trimpath -ldflags='-s -w' "$1"
    mv "$work/$3" "$2"
  }
  build "github.com/minio/minio@$MINIO" "$minio" minio
  build "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW" "$versitygw" versitygw
fi
ln -sfn "$minio" "$cache/minio"
ln -sfn "$versitygw" "$cache/versitygw"
