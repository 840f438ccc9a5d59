#!/usr/bin/env bash
# Brings what the tests of a secured HDFS start for themselves: a key distribution center, and tickets from Python. Does nothing when it is there.
set -euo pipefail

packages=()
[ -x /usr/sbin/krb5kdc ] && [ -x /usr/sbin/kadmin.local ] || packages+=(krb5-kdc krb5-admin-server)
/usr/bin/python3 -c 'import gssapi' 2>/dev/null || packages+=(python3-gssapi)
[ ${#packages[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
  echo "Missing, and there is no apt-get to install with: ${packages[*]} (Kerberos)" >&2
  exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
