import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect, createServer, type Server } from 'node:net';
import { json, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataNode, HdfsDaemon, HdfsOptions, HdfsPair, HdfsServer, PairedNameNode } from './hdfs-server.ts';

export type DaemonName = 'nn1' | 'nn2' | 'dn' | 'jn' | 'zk' | 'zkfc1' | 'zkfc2';
export type PairKind = 'no' | 'manual' | 'automatic';

/** Where the daemons of one cluster run: as processes, or in a container. Its words are those of docker/hdfs/hdfs.sh. */
export interface HdfsHost {
  readonly name: string;
  /** Leaves the daemon running. */
  spawn(daemon: DaemonName, env: Readonly<Record<string, string>>): Promise<void>;
  /** With SIGKILL it resolves when the daemon has ended. */
  signal(daemon: DaemonName, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  hasEnded(daemon: DaemonName): Promise<boolean>;
  /** A command of Hadoop's, to its end. */
  run(...words: string[]): Promise<void>;
  /** The end of what the daemon said. */
  log(daemon: DaemonName): Promise<string>;
  /** What was stored goes too. */
  remove(): Promise<void>;
}

const HOST = '127.0.0.1';
const PORT_NAMES = [
  ...['NN1_HTTP', 'NN1_RPC', 'NN2_HTTP', 'NN2_RPC', 'DN_HTTP', 'DN_DATA', 'DN_RPC', 'JN_HTTP', 'JN_RPC'],
  ...['ZK', 'ZKFC1', 'ZKFC2', 'KDC'],
] as const;
export type HdfsPorts = Readonly<Record<string, number>>;

/** With Hadoop's own settings a NameNode stays in safe mode for 30 s after the last block was reported. */
const READY_MS = 90_000;
const ASK_MS = 2000;
const POLL_MS = 100;

/** Of the system's own range no port is taken: while a daemon is down, a client's connection might get it. */
export async function freePorts(): Promise<HdfsPorts> {
  const servers: Server[] = [];
  const ports: Record<string, number> = {};
  for (const name of PORT_NAMES) {
    for (;;) {
      const server = createServer();
      // processes that ask at the same time ask for others
      const port = randomInt(500) + 12_000 + 500 * (process.pid % 40);
      const listens = await new Promise<boolean>((resolve) => {
        server.once('listening', () => resolve(true)).once('error', () => resolve(false));
        server.listen(port, HOST);
      });
      if (!listens) continue;
      servers.push(server);
      ports[name] = port;
      break;
    }
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}

export function environment(ports: HdfsPorts, pair: PairKind, options: HdfsOptions): Record<string, string> {
  const settings = Object.entries(options.settings ?? {}).map(([key, value]) => `${key}=${value}`);
  return {
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [`HDFS_${name}`, String(port)])),
    HDFS_PAIR: pair,
    HDFS_SETTINGS: settings.join('\n'),
    ...options.environment,
    HDFS_HADOOP_DEFAULTS: options.hadoopDefaults === true ? 'yes' : 'no',
  };
}

/** @throws with the end of a daemon's log, when one ends or is not ready in time; nothing is left then */
export async function startCluster(host: HdfsHost, ports: HdfsPorts, options: HdfsOptions): Promise<HdfsServer> {
  const server = new Cluster(host, ports, options, 'no');
  await startOrRemove(server, host);
  return server;
}

export async function startPair(
  host: HdfsHost,
  ports: HdfsPorts,
  options: HdfsOptions,
  kind: 'manual' | 'automatic',
): Promise<HdfsPair> {
  const pair = new PairCluster(host, ports, options, kind);
  await startOrRemove(pair, host);
  return pair;
}

async function startOrRemove(server: HdfsServer, host: HdfsHost): Promise<void> {
  try {
    await server.start();
  } catch (error) {
    await host.remove();
    throw error;
  }
}

class Daemon implements HdfsDaemon {
  readonly name: DaemonName;
  state: 'down' | 'running' | 'paused' = 'down';
  readonly cluster: Cluster;

  constructor(cluster: Cluster, name: DaemonName) {
    this.cluster = cluster;
    this.name = name;
  }

  async kill(): Promise<void> {
    if (this.state === 'down') return;
    this.state = 'down';
    await this.cluster.host.signal(this.name, 'SIGKILL');
  }

  async pause(): Promise<void> {
    if (this.state !== 'running') throw new Error(`${this.name} is ${this.state}`);
    this.state = 'paused';
    await this.cluster.host.signal(this.name, 'SIGSTOP');
  }

  async resume(): Promise<void> {
    if (this.state !== 'paused') throw new Error(`${this.name} is ${this.state}`);
    this.state = 'running';
    await this.cluster.host.signal(this.name, 'SIGCONT');
  }

  async start(): Promise<void> {
    await this.spawn();
    await this.cluster.untilReady();
  }

  async spawn(env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.state !== 'down') throw new Error(`${this.name} is ${this.state}`);
    await this.cluster.host.spawn(this.name, env);
    this.state = 'running';
  }
}

class NameNodeDaemon extends Daemon implements PairedNameNode {
  readonly httpAddress: string;
  readonly #rpcPort: number;

  constructor(cluster: Cluster, name: 'nn1' | 'nn2', ports: HdfsPorts) {
    super(cluster, name);
    this.httpAddress = cluster.addressOf(ports, name === 'nn1' ? 'NN1_HTTP' : 'NN2_HTTP');
    this.#rpcPort = portOf(ports, name === 'nn1' ? 'NN1_RPC' : 'NN2_RPC');
  }

  async haState(): Promise<'active' | 'standby' | undefined> {
    const { State } = await this.cluster.jmx(this.httpAddress, 'NameNode', 'NameNodeStatus');
    return State === 'active' || State === 'standby' ? State : undefined;
  }

  async safeMode(what: 'enter' | 'leave'): Promise<void> {
    const at = `hdfs://${HOST}:${this.#rpcPort}`;
    await this.cluster.host.run('org.apache.hadoop.hdfs.tools.DFSAdmin', '-fs', at, '-safemode', what);
  }

  async transition(to: 'active' | 'standby'): Promise<void> {
    // the other one is not asked: it may be down, or paused, and writes nothing any more once this one has the journal
    const words = to === 'active' ? ['-transitionToActive', '--forceactive'] : ['-transitionToStandby'];
    await this.cluster.host.run('org.apache.hadoop.hdfs.tools.DFSHAAdmin', ...words, this.name);
  }

  /** Knows the DataNode, and would let clients write. Without a DataNode it waits for blocks, as it should. */
  async isReady(dataNode: DataNodeDaemon): Promise<boolean> {
    if ((await this.haState()) === undefined) return false;
    const { FSState, NumLiveDataNodes } = await this.cluster.jmx(this.httpAddress, 'NameNode', 'FSNamesystemState');
    if (FSState === undefined || !(await accepts(this.#rpcPort))) return false;
    if (dataNode.state !== 'running') return true;
    return FSState === 'Operational' && NumLiveDataNodes === 1 && (await dataNode.serves(this.#rpcPort));
  }
}

class DataNodeDaemon extends Daemon implements DataNode {
  readonly httpAddress: string;
  readonly #capacityBytes: number | undefined;

  constructor(cluster: Cluster, ports: HdfsPorts, capacityBytes: number | undefined) {
    super(cluster, 'dn');
    this.httpAddress = cluster.addressOf(ports, 'DN_HTTP');
    this.#capacityBytes = capacityBytes;
  }

  override async start(options: { readonly capacityBytes?: number } = {}): Promise<void> {
    await this.spawn({}, options.capacityBytes);
    await this.cluster.untilReady();
  }

  override async spawn(env = {}, capacityBytes = this.#capacityBytes): Promise<void> {
    await super.spawn(capacityBytes === undefined ? env : { ...env, HDFS_CAPACITY_BYTES: String(capacityBytes) });
  }

  /** The NameNode has answered to a heartbeat of this process. */
  async serves(rpcPort: number): Promise<boolean> {
    const { BPServiceActorInfo = '[]' } = await this.cluster.jmx(this.httpAddress, 'DataNode', 'DataNodeInfo');
    // Hadoop's: a list of flat objects, all of strings
    const actors = JSON.parse(String(BPServiceActorInfo)) as Record<string, string>[];
    return actors.some(
      ({ NamenodeAddress = '', ActorState, NamenodeHaState = '' }) =>
        NamenodeAddress.endsWith(`:${rpcPort}`) &&
        ActorState === 'RUNNING' &&
        /^(active|standby)$/i.test(NamenodeHaState),
    );
  }
}

class Cluster implements HdfsServer {
  readonly name: string;
  readonly nameNode: NameNodeDaemon;
  readonly nameNodes: readonly NameNodeDaemon[];
  readonly dataNode: DataNodeDaemon;
  readonly host: HdfsHost;
  readonly #https: HdfsOptions['https'];

  constructor(host: HdfsHost, ports: HdfsPorts, options: HdfsOptions, kind: PairKind) {
    this.host = host;
    this.#https = options.https;
    this.name = host.name;
    this.nameNode = new NameNodeDaemon(this, 'nn1', ports);
    this.nameNodes = kind === 'no' ? [this.nameNode] : [this.nameNode, new NameNodeDaemon(this, 'nn2', ports)];
    this.dataNode = new DataNodeDaemon(this, ports, options.capacityBytes);
  }

  get daemons(): readonly Daemon[] {
    return [...this.nameNodes, this.dataNode];
  }

  addressOf(ports: HdfsPorts, name: (typeof PORT_NAMES)[number]): string {
    // principals of Kerberos are those of a name
    return this.#https === undefined
      ? `http://${HOST}:${portOf(ports, name)}`
      : `https://localhost:${portOf(ports, name)}`;
  }

  /** The bean's properties; none where it is not there yet. */
  async jmx(httpAddress: string, service: string, name: string): Promise<Record<string, unknown>> {
    const url = `${httpAddress}/jmx?qry=Hadoop:service=${service},name=${name}`;
    const options = { signal: AbortSignal.timeout(ASK_MS), agent: false };
    const asked =
      this.#https === undefined
        ? httpGet(url, options)
        : httpsGet(url, { ...options, ca: this.#https.ca, headers: await this.#https.headers(url) });
    // once gives a tuple of unknown types; a response is all that comes first
    const [reply] = (await once(asked, 'response')) as [IncomingMessage];
    // Hadoop's JMXJsonServlet
    const { beans } = (await json(reply)) as { readonly beans: readonly Record<string, unknown>[] };
    return beans[0] ?? {};
  }

  async kill(): Promise<void> {
    await Promise.all(this.daemons.map((daemon) => daemon.kill()));
  }

  async pause(): Promise<void> {
    await Promise.all(this.daemons.filter(({ state }) => state === 'running').map((daemon) => daemon.pause()));
  }

  async resume(): Promise<void> {
    await Promise.all(this.daemons.filter(({ state }) => state === 'paused').map((daemon) => daemon.resume()));
  }

  async start(): Promise<void> {
    await Promise.all(this.daemons.filter(({ state }) => state === 'down').map((daemon) => daemon.spawn()));
    await this.untilReady();
  }

  async stop(): Promise<void> {
    await this.kill();
    await this.host.remove();
  }

  /** All that runs is ready. @throws when one has ended, or is not ready in time */
  async untilReady(): Promise<void> {
    const until = performance.now() + READY_MS;
    while (!(await this.isReady().catch(() => false))) {
      for (const daemon of this.daemons)
        if (daemon.state === 'running' && (await this.host.hasEnded(daemon.name))) {
          daemon.state = 'down';
          throw new Error(`${daemon.name} of ${this.name} has ended. It said:\n${await this.host.log(daemon.name)}`);
        }
      if (performance.now() > until) throw new Error(`${this.name} is not ready in time.${await this.#logs()}`);
      await sleep(POLL_MS);
    }
  }

  async isReady(): Promise<boolean> {
    const running = this.nameNodes.filter(({ state }) => state === 'running');
    const ready = await Promise.all(running.map((nameNode) => nameNode.isReady(this.dataNode)));
    return ready.every((is) => is);
  }

  async #logs(): Promise<string> {
    const logs = this.daemons.map(async ({ name }) => `\n${name} said:\n${await this.host.log(name)}`);
    return (await Promise.all(logs)).join('');
  }
}

class PairCluster extends Cluster implements HdfsPair {
  declare readonly nameNodes: readonly [NameNodeDaemon, NameNodeDaemon];
  readonly journalNode: Daemon;
  readonly zooKeeper: Daemon | undefined;
  readonly failoverControllers: readonly Daemon[];
  readonly #ports: HdfsPorts;

  constructor(host: HdfsHost, ports: HdfsPorts, options: HdfsOptions, kind: 'manual' | 'automatic') {
    super(host, ports, options, kind);
    this.#ports = ports;
    this.journalNode = new Daemon(this, 'jn');
    this.zooKeeper = kind === 'automatic' ? new Daemon(this, 'zk') : undefined;
    this.failoverControllers = kind === 'automatic' ? [new Daemon(this, 'zkfc1'), new Daemon(this, 'zkfc2')] : [];
  }

  override get daemons(): readonly Daemon[] {
    const others = this.zooKeeper === undefined ? [] : [this.zooKeeper];
    return [this.journalNode, ...others, ...super.daemons, ...this.failoverControllers];
  }

  async active(): Promise<PairedNameNode | undefined> {
    for (const nameNode of this.nameNodes)
      if (nameNode.state === 'running' && (await nameNode.haState().catch(() => undefined)) === 'active')
        return nameNode;
    return undefined;
  }

  override async start(): Promise<void> {
    await super.start();
    if (this.zooKeeper === undefined && (await this.active()) === undefined) {
      await this.nameNode.transition('active');
      await this.untilReady();
    }
  }

  override async isReady(): Promise<boolean> {
    if (!(await super.isReady())) return false;
    if (this.zooKeeper?.state !== 'running') return true;
    const candidates = this.failoverControllers.filter(({ state }) => state === 'running').length;
    if (candidates === 0) return true;
    // each of them watches who holds the lock
    const watches = await ask(portOf(this.#ports, 'ZK'), 'wchs');
    return watches.startsWith(`${candidates} connections watching`) && (await this.active()) !== undefined;
  }
}

function portOf(ports: HdfsPorts, name: (typeof PORT_NAMES)[number]): number {
  const port = ports[name];
  if (port === undefined) throw new Error(`no port for ${name}`);
  return port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, HOST);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(ASK_MS) });
    return true;
  } finally {
    socket.destroy();
  }
}

async function ask(port: number, words: string): Promise<string> {
  const socket = connect(port, HOST);
  socket.setTimeout(ASK_MS, () => socket.destroy(new Error(`port ${port} is silent`)));
  socket.write(`${words}\n`);
  return text(socket);
}
