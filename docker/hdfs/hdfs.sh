#!/usr/bin/env bash
# One HDFS on one machine: a NameNode and a DataNode, or a pair of NameNodes. The tests start its daemons one by one, a container all at once.
#
#   hdfs.sh prepare         writes the configuration into HDFS_DIR, and a formatted file system where there is none yet
#   hdfs.sh daemon NAME     becomes that daemon: nn1 nn2 dn jn zk zkfc1 zkfc2
#   hdfs.sh spawn NAME      leaves that daemon running, its pid in HDFS_DIR/NAME.pid
#   hdfs.sh signal NAME KILL|STOP|CONT   to one that was spawned; after KILL it has ended
#   hdfs.sh runs NAME       fails when one that was spawned has ended
#   hdfs.sh log NAME        the end of what it said
#   hdfs.sh up              prepares, spawns all, says "ready" once a file could be written, runs until it is told to end
#   hdfs.sh run CLASS WORDS becomes a command of Hadoop's, such as its DFSAdmin
#
# Of the environment: HDFS_HOME (lib, and seed and hdfs.jsa as warm.sh makes them), HDFS_PAIR (no, manual, automatic), HDFS_SETTINGS (lines of
# key=value, which win), HDFS_CAPACITY_BYTES (of the DataNode), HDFS_HADOOP_DEFAULTS (yes: nothing is tuned for tests), HDFS_BIND, and ports, below.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${HDFS_HOME:-$here}
dir=${HDFS_DIR:-/data}
pair=${HDFS_PAIR:-no}
bind=${HDFS_BIND:-127.0.0.1}
: "${HDFS_NN1_HTTP:=9870}" "${HDFS_NN1_RPC:=9820}" "${HDFS_NN2_HTTP:=9871}" "${HDFS_NN2_RPC:=9821}"
: "${HDFS_DN_HTTP:=9864}" "${HDFS_DN_DATA:=9866}" "${HDFS_DN_RPC:=9867}" "${HDFS_JN_HTTP:=8480}" "${HDFS_JN_RPC:=8485}"
: "${HDFS_ZK:=2181}" "${HDFS_ZKFC1:=8019}" "${HDFS_ZKFC2:=8020}"

# Jars by name, directories last: what Java's class data archive asks for.
class_path() {
  local jars=("$home"/lib/*.jar)
  local IFS=:
  echo "${jars[*]}"
}

# The first compiler alone starts twice as fast as both, the archive saves another third.
java_words() {
  words=(java "-Xmx$1" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -Xshare:auto)
  [ ! -f "$home/hdfs.jsa" ] || words+=("-XX:SharedArchiveFile=$home/hdfs.jsa")
  [ -z "${HDFS_CLASS_LISTS:-}" ] || words+=("-XX:DumpLoadedClassList=$HDFS_CLASS_LISTS/$BASHPID")
  words+=("-Djava.io.tmpdir=$dir/tmp" "-Dhadoop.log.dir=$dir/logs" -cp "$(class_path):$dir/conf")
}

daemon() {
  local server=org.apache.hadoop.hdfs.server name=$1
  # a client gives up after 10 s as by default, and asks ten times a second instead of once
  local patient=(-D ipc.client.connect.retry.interval=100 -D ipc.client.connect.max.retries=100)
  case $name in
    nn1 | nn2)
      java_words 256m
      words+=("$server.namenode.NameNode" "${patient[@]}")
      [ "$pair" = no ] || words+=(-D "dfs.ha.namenode.id=$name")
      ;;
    dn)
      java_words 192m
      words+=("$server.datanode.DataNode" "${patient[@]}")
      # a DataNode refuses blocks while less than 1 GiB is left, unless it is told otherwise
      [ -z "${HDFS_CAPACITY_BYTES:-}" ] || words+=(-D "dfs.datanode.du.reserved=$(reserved_bytes)"
        -D dfs.datanode.round-robin-volume-choosing-policy.additional-available-space=0)
      ;;
    jn)
      java_words 128m
      words+=(org.apache.hadoop.hdfs.qjournal.server.JournalNode)
      ;;
    zk)
      java_words 128m
      words+=(org.apache.zookeeper.server.ZooKeeperServerMain "$dir/conf/zoo.cfg")
      ;;
    zkfc1 | zkfc2)
      java_words 128m
      words+=(org.apache.hadoop.hdfs.tools.DFSZKFailoverController -D "dfs.ha.namenode.id=nn${name#zkfc}")
      # By default it keeps a connection that idles for 10 s. With one to a NameNode that was killed and started since, it wins an election, fails to
      # tell the NameNode, and stands again a second later.
      [ "${HDFS_HADOOP_DEFAULTS:-no}" = yes ] || words+=(-D ipc.client.connection.maxidletime=1000
        -D ipc.client.connect.max.retries=2 -D ipc.client.connect.retry.interval=200)
      ;;
    *)
      echo "there is no daemon $name" >&2
      exit 64
      ;;
  esac
  # with the process that started it, however that one ends
  [ "${HDFS_ENDS_WITH_PARENT:-no}" = no ] || ! command -v setpriv >/dev/null || words=(setpriv --pdeathsig KILL "${words[@]}")
  exec "${words[@]}" >>"$dir/logs/$name.log" 2>&1 </dev/null
}

# What the DataNode is to leave free so that HDFS_CAPACITY_BYTES are all that it has. What only root may fill counts neither way.
reserved_bytes() {
  local blocks size free available
  read -r blocks size free available < <(stat -f -c '%b %S %f %a' "$dir")
  local reserved=$(((blocks - free + available) * size - HDFS_CAPACITY_BYTES))
  echo $((reserved > 0 ? reserved : 0))
}

daemons() {
  echo nn1 dn
  [ "$pair" = no ] || echo nn2 jn
  [ "$pair" != automatic ] || echo zk zkfc1 zkfc2
}

spawn() {
  (trap - TERM INT && daemon "$1") &
  echo $! >"$dir/$1.pid"
}

signal() {
  runs "$1" || return 0
  kill "-$2" "$(cat "$dir/$1.pid")"
  while [ "$2" = KILL ] && runs "$1"; do sleep 0.02; done
}

runs() { kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }

log() { tail -n 30 "$dir/logs/$1.log"; }

run() {
  java_words 128m
  exec "${words[@]}" "$@"
}

prepare() {
  mkdir -p "$dir/logs" "$dir/tmp" "$dir"/conf/webapps/{hdfs,datanode,journal,static}
  write_settings
  [ ! -d "$dir/nn1" ] && [ -d "$home/seed" ] || return 0
  # a cluster of its own, so that a DataNode never joins another one that got its NameNode's port
  local cluster
  cluster=CID-$(cat /proc/sys/kernel/random/uuid)
  cp -r "$home/seed/name" "$dir/nn1"
  if [ "$pair" != no ]; then
    cp -r "$home/seed/name" "$dir/nn2"
    cp -r "$home/seed/journal" "$dir/journal"
    cp -r "$home/seed/zk" "$dir/zk"
  fi
  find "$dir" -name VERSION -exec sed -i "s/^clusterID=.*/clusterID=$cluster/" {} +
}

write_settings() {
  {
    echo '<configuration>'
    settings | while IFS='=' read -r key value; do
      value=${value//&/&amp;}
      echo "<property><name>$key</name><value>${value//</&lt;}</value></property>"
    done
    echo '</configuration>'
  } >"$dir/conf/hdfs-site.xml"
  # one file for all of them: every daemon reads both
  cp "$dir/conf/hdfs-site.xml" "$dir/conf/core-site.xml"
  cat >"$dir/conf/log4j.properties" <<END
log4j.rootLogger=${HDFS_LOG_LEVEL:-WARN},A
log4j.appender.A=org.apache.log4j.ConsoleAppender
log4j.appender.A.target=System.err
log4j.appender.A.layout=org.apache.log4j.PatternLayout
log4j.appender.A.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
END
  cat >"$dir/conf/zoo.cfg" <<END
dataDir=$dir/zk
clientPort=$HDFS_ZK
clientPortAddress=$bind
tickTime=500
preAllocSize=64
admin.enableServer=false
4lw.commands.whitelist=ruok,wchs
END
}

# Of a key that is there twice Hadoop takes the last.
settings() {
  cat <<END
hadoop.tmp.dir=$dir/tmp
dfs.replication=1
dfs.datanode.data.dir=file://$dir/dn
dfs.datanode.hostname=127.0.0.1
dfs.datanode.address=$bind:$HDFS_DN_DATA
dfs.datanode.http.address=$bind:$HDFS_DN_HTTP
dfs.datanode.ipc.address=127.0.0.1:$HDFS_DN_RPC
dfs.namenode.http-bind-host=$bind
dfs.namenode.rpc-bind-host=$bind
dfs.namenode.datanode.registration.ip-hostname-check=false
END
  if [ "$pair" = no ]; then
    cat <<END
fs.defaultFS=hdfs://127.0.0.1:$HDFS_NN1_RPC
dfs.namenode.http-address=127.0.0.1:$HDFS_NN1_HTTP
dfs.namenode.name.dir=file://$dir/nn1
END
  else
    cat <<END
fs.defaultFS=hdfs://ns
dfs.nameservices=ns
dfs.ha.namenodes.ns=nn1,nn2
dfs.namenode.rpc-address.ns.nn1=127.0.0.1:$HDFS_NN1_RPC
dfs.namenode.rpc-address.ns.nn2=127.0.0.1:$HDFS_NN2_RPC
dfs.namenode.http-address.ns.nn1=127.0.0.1:$HDFS_NN1_HTTP
dfs.namenode.http-address.ns.nn2=127.0.0.1:$HDFS_NN2_HTTP
dfs.namenode.name.dir.ns.nn1=file://$dir/nn1
dfs.namenode.name.dir.ns.nn2=file://$dir/nn2
dfs.namenode.shared.edits.dir=qjournal://127.0.0.1:$HDFS_JN_RPC/ns
dfs.journalnode.edits.dir=$dir/journal
dfs.journalnode.rpc-address=127.0.0.1:$HDFS_JN_RPC
dfs.journalnode.http-address=127.0.0.1:$HDFS_JN_HTTP
dfs.client.failover.proxy.provider.ns=org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider
dfs.ha.fencing.methods=shell(/bin/true)
dfs.ha.automatic-failover.enabled=$([ "$pair" = automatic ] && echo true || echo false)
dfs.ha.zkfc.port.ns.nn1=$HDFS_ZKFC1
dfs.ha.zkfc.port.ns.nn2=$HDFS_ZKFC2
ha.zookeeper.quorum=127.0.0.1:$HDFS_ZK
END
  fi
  if [ "${HDFS_HADOOP_DEFAULTS:-no}" != yes ]; then
    # A NameNode that has stopped is given up after seconds, not after more than a minute: by its failover controller, and by a DataNode that works for
    # WebHDFS, which asks the first of a pair first each time.
    [ "$pair" = no ] || echo ipc.client.rpc-timeout.ms=3000
    # Without locateFollowingBlock every close sleeps 400 ms: a client asks for its end before the DataNode's report has come. The DataNode is
    # that client for WebHDFS. The others: no users, small blocks, seen at once, and a failover in a second.
    cat <<END
dfs.permissions.enabled=false
dfs.namenode.fs-limits.min-block-size=512
dfs.namenode.safemode.extension=0
dfs.namenode.redundancy.considerLoad=false
dfs.heartbeat.interval=1
dfs.client.block.write.replace-datanode-on-failure.policy=NEVER
dfs.client.block.write.locateFollowingBlock.initial.delay.ms=2
dfs.client.block.write.locateFollowingBlock.max.delay.ms=400
dfs.client.block.write.locateFollowingBlock.retries=15
dfs.client.failover.sleep.base.millis=50
dfs.client.failover.sleep.max.millis=500
dfs.ha.tail-edits.period=1s
dfs.ha.tail-edits.in-progress=true
ha.zookeeper.session-timeout.ms=4000
ha.health-monitor.check-interval.ms=500
ha.health-monitor.connect-retry-interval.ms=200
ha.health-monitor.sleep-after-disconnect.ms=200
ha.health-monitor.rpc-timeout.ms=2000
ha.failover-controller.graceful-fence.rpc-timeout.ms=1000
ha.failover-controller.cli-check.rpc-timeout.ms=2000
END
  fi
  printf '%s\n' "${HDFS_SETTINGS:-}" | grep = || true
}

up() {
  prepare
  local name http answer
  trap 'end; exit 0' TERM INT
  # shellcheck disable=SC2046
  for name in $(daemons); do spawn "$name"; done
  if [ "$pair" = manual ]; then
    until says "$HDFS_NN1_HTTP" NameNodeStatus '"State" : "standby"'; do alive; done
    (run org.apache.hadoop.hdfs.tools.DFSHAAdmin -transitionToActive --forceactive nn1) >>"$dir/logs/nn1.log" 2>&1
  fi
  until is_ready; do alive; done
  echo ready
  while :; do wait; sleep 1; done
}

is_ready() {
  local active=no http
  for http in $HDFS_NN1_HTTP $([ "$pair" = no ] || echo "$HDFS_NN2_HTTP"); do
    says "$http" FSNamesystemState '"NumLiveDataNodes" : 1' || return
    says "$http" FSNamesystemState '"FSState" : "Operational"' || return
    ! says "$http" NameNodeStatus '"State" : "active"' || active=yes
  done
  [ $active = yes ] || return
  # of the failover controllers both stand for election
  [ "$pair" != automatic ] || answers "$HDFS_ZK" wchs '2 connections watching'
}

says() {
  answers "$1" "GET /jmx?qry=Hadoop:service=NameNode,name=$2 HTTP/1.0"$'\r\n\r' "$3"
}

answers() {
  local answer
  answer=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$1" || exit 0
    echo "$2" >&3
    cat <&3
  )
  [[ $answer = *"$3"* ]]
}

# A while, in which no daemon may end.
alive() {
  local name
  for name in $(daemons); do
    runs "$name" && continue
    echo "$name has ended. It said:" >&2
    log "$name" >&2
    end
    exit 1
  done
  sleep 0.1
}

end() {
  local name
  for name in $(daemons); do signal "$name" KILL; done
}

case ${1:-up} in
  prepare | up) "$1" ;;
  daemon | spawn | runs | log) "$1" "$2" ;;
  signal) signal "$2" "$3" ;;
  run) shift && run "$@" ;;
  *)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
