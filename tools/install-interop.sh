#!/usr/bin/env bash
# Brings the clients and tools that the interop tests run against. Does nothing when they are there.
set -euo pipefail

missing=()
command -v kcat >/dev/null || missing+=(kcat)
command -v mosquitto_pub >/dev/null || missing+=(mosquitto-clients)
command -v strace >/dev/null || missing+=(strace)
command -v java >/dev/null || missing+=(default-jdk-headless)
command -v mvn >/dev/null || missing+=(maven)
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "These are missing, and there is no apt-get to install them with: ${missing[*]}" >&2
  exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
