#!/usr/bin/env bash
# Makes of a directory with lib/ alone one that starts quickly: seed/, what formatting leaves behind, and hdfs.jsa, the classes that the daemons load,
# as Java reads them at once. A minute, once.  warm.sh DIRECTORY
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export HDFS_HOME=$1 HDFS_PAIR=automatic
work=$(mktemp -d)
pids=()
exec 4>&2 >"$work/log" 2>&1
finish() {
  local status=$?
  [ $status -eq 0 ] || cat "$work/log" >&4
  [ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" || true
  rm -rf "$work"
}
trap finish EXIT

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# Below those that the system gives to clients.
for name in NN1_HTTP NN1_RPC NN2_HTTP NN2_RPC DN_HTTP DN_DATA DN_RPC JN_HTTP JN_RPC ZK ZKFC1 ZKFC2; do
  port=$((20000 + RANDOM % 12000))
  while listens $port; do port=$((port + 1)); done
  export "HDFS_$name=$port"
done

start() {
  "$here/hdfs.sh" daemon "$1" &
  pids+=($!)
}
awaits() {
  for _ in $(seq 600); do
    "$@" && return
    sleep 0.1
  done
  tail -n 20 "$HDFS_DIR"/logs/* >&2
  exit 1
}
# With their shutdown hooks: only then a list of classes is whole.
end() {
  kill "${pids[@]}"
  wait "${pids[@]}" || true
  pids=()
}

make_seed() {
  export HDFS_DIR=$work/seed
  "$here/hdfs.sh" prepare
  start jn
  start zk
  awaits listens "$HDFS_JN_RPC"
  awaits listens "$HDFS_ZK"
  "$here/hdfs.sh" run org.apache.hadoop.hdfs.server.namenode.NameNode -D dfs.ha.namenode.id=nn1 -format -nonInteractive
  "$here/hdfs.sh" run org.apache.hadoop.hdfs.tools.DFSZKFailoverController -D dfs.ha.namenode.id=nn1 -formatZK -nonInteractive
  end
  rm -f "$HDFS_DIR/nn1/in_use.lock" "$HDFS_DIR/journal/ns/in_use.lock"
  rm -rf "$HDFS_HOME/seed.new"
  mkdir "$HDFS_HOME/seed.new"
  mv "$HDFS_DIR/nn1" "$HDFS_HOME/seed.new/name"
  mv "$HDFS_DIR/journal" "$HDFS_DIR/zk" "$HDFS_HOME/seed.new/"
  mv "$HDFS_HOME/seed.new" "$HDFS_HOME/seed"
}

# METHOD URL
ask() {
  local address=${2#http://}
  local at=${address%%/*}
  exec 3<>"/dev/tcp/127.0.0.1/${at#*:}"
  printf '%s /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$1" "${address#*/}" "$at" "${#3}" "$3" >&3
  tr -d '\r' <&3
}
location() { sed -n 's/^Location: //p'; }

is_active() { [[ $(ask GET "http://127.0.0.1:$HDFS_NN1_HTTP/jmx?qry=Hadoop:service=NameNode,name=NameNodeStatus" '') = *'"State" : "active"'* ]]; }
writes() {
  local file=http://127.0.0.1:$HDFS_NN1_HTTP/webhdfs/v1/warm to
  to=$(ask PUT "$file?op=CREATE&overwrite=true" '' | location)
  [ -n "$to" ] && [[ $(ask PUT "$to" hello) = *' 201 '* ]]
}

make_archive() {
  export HDFS_DIR=$work/warm HDFS_CLASS_LISTS=$work/classes
  mkdir -p "$HDFS_CLASS_LISTS"
  "$here/hdfs.sh" prepare
  for name in nn1 nn2 dn jn zk; do start $name; done
  awaits listens "$HDFS_NN1_HTTP"
  start zkfc1
  awaits is_active
  start zkfc2
  awaits writes
  local file=http://127.0.0.1:$HDFS_NN1_HTTP/webhdfs/v1/warm
  ask POST "$(ask POST "$file?op=APPEND" '' | location)" hello
  ask GET "$(ask GET "$file?op=OPEN&offset=1&length=2" '' | location)" ''
  ask GET "$file?op=GETFILESTATUS" ''
  ask PUT "$file?op=RENAME&destination=/warmer" ''
  ask DELETE "$file?op=DELETE" ''
  "$here/hdfs.sh" run org.apache.hadoop.hdfs.tools.DFSAdmin -safemode get
  "$here/hdfs.sh" run org.apache.hadoop.hdfs.tools.DFSHAAdmin -getServiceState nn1
  end
  # ids are of one list each, and classes of a source are not of the class path
  cat "$HDFS_CLASS_LISTS"/* | grep -v -e '^#' -e ' source: ' | sed 's/ id: .*//' | sort -u >"$work/classes.all"
  local jars=("$HDFS_HOME"/lib/*.jar)
  (
    IFS=:
    java -Xshare:dump -XX:+UseSerialGC "-XX:SharedClassListFile=$work/classes.all" "-XX:SharedArchiveFile=$HDFS_HOME/hdfs.jsa.new" -cp "${jars[*]}"
  )
  mv "$HDFS_HOME/hdfs.jsa.new" "$HDFS_HOME/hdfs.jsa"
}

# not after ||, which would have bash go on after errors inside
if [ ! -d "$HDFS_HOME/seed" ]; then make_seed; fi
if [ ! -f "$HDFS_HOME/hdfs.jsa" ]; then make_archive; fi
