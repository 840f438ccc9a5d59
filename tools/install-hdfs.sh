#!/usr/bin/env bash
# Brings HDFS: Hadoop's jars by Maven, as docker/hdfs/pom.xml names them, and what lets its daemons start quickly. Does nothing when it is there: it lies
# outside of the checkout, in ${ROBUST_CACHE:-~/.cache/robustmq}, by version. One to three minutes the first time, on two cores.
set -euo pipefail

source=$(cd "$(dirname "$0")/../docker/hdfs" && pwd)
version=$(sed -n 's:.*<hadoop.version>\(.*\)</hadoop.version>.*:\1:p' "$source/pom.xml")
cache=${ROBUST_CACHE:-$HOME/.cache/robustmq}/hdfs
home=$cache/$version

packages=()
java_version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' || true)
[ "${java_version:-0}" -ge 17 ] || packages+=(openjdk-17-jre-headless)
[ -d "$home/lib" ] || command -v mvn >/dev/null || packages+=(maven)
[ ${#packages[@]} -eq 0 ] || "$(dirname "$0")/apt-install.sh" "Java 17 or newer, Maven" "${packages[@]}" ca-certificates

# moved into place when it is whole, so that an end on the way leaves nothing half
mkdir -p "$cache"
if [ ! -d "$home/lib" ]; then
  echo "fetching Hadoop $version"
  work=$(mktemp -d "$cache/.fetch-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mvn -q -B -Dstyle.color=never -f "$source/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$work/lib"
  chmod 755 "$work"
  mkdir -p "$home"
  mv "$work/lib" "$home/lib"
fi
# a Java that has been renewed takes no archive of the one before
java=$(java -version 2>&1)
if [ ! -f "$home/hdfs.jsa" ] || [ "$(cat "$home/java" 2>/dev/null)" != "$java" ]; then
  echo "preparing Hadoop $version to start quickly"
  rm -f "$home/hdfs.jsa"
  "$source/warm.sh" "$home"
  echo "$java" >"$home/java"
fi
