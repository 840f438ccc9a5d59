#!/usr/bin/env bash
# Installs Debian packages: tools/apt-install.sh "what for" PACKAGE...   Ends with 1, and says what is missing, where there is no apt-get.
set -euo pipefail

what_for=$1
shift
if ! command -v apt-get >/dev/null; then
  echo "Missing, and there is no apt-get to install with: $* ($what_for)" >&2
  exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing $*"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null
