#!/usr/bin/env bash
# Brings what the tests of a secured HDFS start for themselves: a key distribution center, and tickets from Python. Does nothing when it is there.
set -euo pipefail

packages=()
[ -x /usr/sbin/krb5kdc ] && [ -x /usr/sbin/kadmin.local ] || packages+=(krb5-kdc krb5-admin-server)
/usr/bin/python3 -c 'import gssapi' 2>/dev/null || packages+=(python3-gssapi)
[ ${#packages[@]} -gt 0 ] || exit 0
exec "$(dirname "$0")/apt-install.sh" Kerberos "${packages[@]}"
