#!/usr/bin/env bash
# A Debian image by debootstrap, for a Docker engine that can pull none (root; some two minutes, once).  debian-image.sh NAME [PACKAGE,PACKAGE...]
set -euo pipefail

name=$1
if docker image inspect "$name" >/dev/null 2>&1; then exit 0; fi
echo "building $name"
if ! command -v debootstrap >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq debootstrap >/dev/null
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# the mirror that this machine uses itself, if it names one
mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | grep -v snapshot | head -1 | tr -d ' ' || true)
debootstrap --variant=minbase ${2:+"--include=$2"} bookworm "$work/debian" ${mirror:+"$mirror"} >"$work/log" 2>&1 || {
  tail -20 "$work/log" >&2
  exit 1
}
rm -rf "$work"/debian/var/cache/apt/archives/*.deb "$work"/debian/var/lib/apt/lists/*
tar -C "$work/debian" -c . | docker import - "$name" >/dev/null
