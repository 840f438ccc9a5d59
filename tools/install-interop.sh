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

exec "$(dirname "$0")/apt-install.sh" "clients of Kafka and MQTT, Java" "${missing[@]}"
