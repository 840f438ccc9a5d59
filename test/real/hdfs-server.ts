import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type DaemonName,
  environment,
  freePorts,
  type HdfsHost,
  type HdfsPorts,
  type PairKind,
  startCluster,
  startPair,
} from './hdfs-cluster.ts';

export interface HdfsOptions {
  /** Hadoop's own, such as `{ 'dfs.blocksize': 1048576 }`. They win over those that tests get otherwise. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Nothing is tuned for tests: a close sleeps 400 ms, permissions count, a block has 1 MiB at least, a restart stays in safe mode for 30 s. */
  readonly hadoopDefaults?: boolean;
  /** All that the DataNode may store. A new block takes `dfs.blocksize` of it, 128 MiB by default, until it is closed. */
  readonly capacityBytes?: number;
  /** It answers by TLS alone, as its settings say, with certificates of this authority (PEM), and to requests with these headers. */
  readonly https?: {
    readonly ca: string;
    headers(url: string): Promise<Readonly<Record<string, string>>>;
  };
  /** Of its daemons. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface HdfsDaemon {
  readonly name: string;
  /** SIGKILL, and waits for its end. What it had stored stays. */
  kill(): Promise<void>;
  /** SIGSTOP, SIGCONT: connections stay, nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** On the same ports, with what it had stored. Ready when all that runs is. */
  start(): Promise<void>;
}

export interface NameNode extends HdfsDaemon {
  /** `http://127.0.0.1:9870`, of WebHDFS */
  readonly httpAddress: string;
  /** @returns undefined while it starts */
  haState(): Promise<'active' | 'standby' | undefined>;
  /** A second or two: Java starts for it. */
  safeMode(what: 'enter' | 'leave'): Promise<void>;
}

export interface PairedNameNode extends NameNode {
  /** Of a pair that does not fail over by itself. `active` does not ask the other one, which the journal shuts out. A second or two. */
  transition(to: 'active' | 'standby'): Promise<void>;
}

export interface DataNode extends HdfsDaemon {
  readonly httpAddress: string;
  /** With `capacityBytes: 0` it is full; without it has what the cluster was started with. */
  start(options?: { readonly capacityBytes?: number }): Promise<void>;
}

/** A real HDFS that a test has to itself. */
export interface HdfsServer {
  readonly name: string;
  readonly nameNode: NameNode;
  readonly nameNodes: readonly NameNode[];
  readonly dataNode: DataNode;
  /** These four are of all daemons at once. */
  kill(): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  start(): Promise<void>;
  /** Ends all, and removes what was stored. */
  stop(): Promise<void>;
}

export interface HdfsPair extends HdfsServer {
  readonly nameNode: PairedNameNode;
  readonly nameNodes: readonly [PairedNameNode, PairedNameNode];
  readonly journalNode: HdfsDaemon;
  /** These are there where failover is automatic. */
  readonly zooKeeper: HdfsDaemon | undefined;
  readonly failoverControllers: readonly HdfsDaemon[];
  /** The first that runs and says so. */
  active(): Promise<PairedNameNode | undefined>;
}

export interface HdfsPairOptions extends HdfsOptions {
  /** Fails over by itself, about a second after the active NameNode was killed. */
  readonly automatic?: boolean;
}

/** A NameNode and a DataNode. */
export async function startHdfs(options: HdfsOptions = {}, given?: HdfsPorts): Promise<HdfsServer> {
  const ports = given ?? (await freePorts());
  return startCluster(await nativeHost(ports, 'no', options), ports, options);
}

/** Two NameNodes with a journal, the first active where failover is not automatic; one DataNode. Ready when the other one can take over. */
export async function startHdfsPair(options: HdfsPairOptions = {}): Promise<HdfsPair> {
  const kind = options.automatic === true ? 'automatic' : 'manual';
  const ports = await freePorts();
  return startPair(await nativeHost(ports, kind, options), ports, options, kind);
}

const RECIPE = join(import.meta.dirname, '../../docker/hdfs');
const SCRIPT = join(RECIPE, 'hdfs.sh');
const RUN_MS = 60_000;
const LOG_LINES = 30;

async function nativeHost(ports: HdfsPorts, kind: PairKind, options: HdfsOptions): Promise<HdfsHost> {
  const version =
    /<hadoop.version>(.*)<\/hadoop.version>/.exec(readFileSync(join(RECIPE, 'pom.xml'), 'utf8'))?.[1] ?? '';
  const home = join(process.env.ROBUST_CACHE ?? join(homedir(), '.cache/robustmq'), 'hdfs', version);
  if (!existsSync(join(home, 'hdfs.jsa')))
    throw new Error(`HDFS is not there (${home}). Fetch it once: tools/install-hdfs.sh`);
  const dir = await mkdtemp(join(tmpdir(), 'robust-hdfs-'));
  const env = { ...process.env, ...environment(ports, kind, options), HDFS_HOME: home, HDFS_DIR: dir };
  const host = new NativeHost(dir, env);
  await host.prepare();
  return host;
}

class NativeHost implements HdfsHost {
  readonly name = 'HDFS';
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #children = new Map<DaemonName, ChildProcess>();
  readonly #atExit: () => void;

  constructor(dir: string, env: NodeJS.ProcessEnv) {
    this.#dir = dir;
    this.#env = env;
    this.#atExit = () => {
      for (const child of this.#children.values()) child.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    };
    process.on('exit', this.#atExit);
  }

  async prepare(): Promise<void> {
    await promisify(execFile)(SCRIPT, ['prepare'], { env: this.#env });
  }

  async spawn(daemon: DaemonName, env: Readonly<Record<string, string>>): Promise<void> {
    const child = spawn(SCRIPT, ['daemon', daemon], {
      env: { ...this.#env, ...env, HDFS_ENDS_WITH_PARENT: 'yes' },
      stdio: 'ignore',
    });
    this.#children.set(daemon, child);
    await once(child, 'spawn');
  }

  async signal(daemon: DaemonName, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const child = this.#children.get(daemon);
    if (child === undefined || (await this.hasEnded(daemon))) return;
    child.kill(signal);
    if (signal === 'SIGKILL') await once(child, 'exit');
  }

  async hasEnded(daemon: DaemonName): Promise<boolean> {
    const child = this.#children.get(daemon);
    return child === undefined || child.exitCode !== null || child.signalCode !== null;
  }

  async run(...words: string[]): Promise<void> {
    await promisify(execFile)(SCRIPT, ['run', ...words], { env: this.#env, timeout: RUN_MS });
  }

  async log(daemon: DaemonName): Promise<string> {
    const said = await readFile(join(this.#dir, 'logs', `${daemon}.log`), 'utf8').catch(() => '');
    return said.trimEnd().split('\n').slice(-LOG_LINES).join('\n');
  }

  async remove(): Promise<void> {
    for (const daemon of this.#children.keys()) await this.signal(daemon, 'SIGKILL');
    process.off('exit', this.#atExit);
    await rm(this.#dir, { recursive: true, force: true });
  }
}
