#!/usr/bin/env bash
# Has a Docker engine answer, installed from Debian's packages and started by hand where none does (root; no systemd needed).
# `tools/start-docker.sh stop` ends the one that it started.
set -euo pipefail

# as sysexits.h has it: tools/ci.ts tells that apart from a failure
UNAVAILABLE=69
state=${ROBUST_CACHE:-$HOME/.cache/robustmq}/docker
pid_file=$state/dockerd.pid
log=$state/dockerd.log

if [ "${1:-}" = stop ]; then
  [ -f "$pid_file" ] || exit 0
  pid=$(cat "$pid_file")
  # a number that another process has by now is left alone
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill "$pid"
    for _ in $(seq 100); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
  fi
  rm -f "$pid_file"
  exit 0
fi

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
answers && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "No Docker engine answers, and starting one needs root. Start yours, or set DOCKER_HOST." >&2
  exit $UNAVAILABLE
fi
if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "No Docker engine answers, and there is no apt-get to install one with: install Docker" >&2
    exit $UNAVAILABLE
  fi
  echo "installing a Docker engine"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends docker.io containerd runc iptables >/dev/null
fi

mkdir -p "$state"
# overlay2 fails on some kernels and below other overlays; vfs, which copies whole layers, works anywhere
for driver in overlay2 vfs; do
  setsid dockerd --storage-driver="$driver" >"$log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$pid_file"
  for _ in $(seq 150); do
    answers && exit 0
    [ -d "/proc/$pid" ] || break
    sleep 0.2
  done
  if [ -d "/proc/$pid" ]; then
    kill "$pid"
    wait "$pid" || true
  fi
done
rm -f "$pid_file"
echo "The Docker engine does not start here. It said:" >&2
tail -20 "$log" >&2
exit $UNAVAILABLE
