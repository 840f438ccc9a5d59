import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { isHere, withoutReaper } from './docker-images.ts';
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
import type { HdfsOptions, HdfsPair, HdfsPairOptions, HdfsServer } from './hdfs-server.ts';

const IMAGE = 'robustmq/hdfs:dev';
const SCRIPT = '/hdfs/hdfs.sh';
const READY_MS = 120_000;
/** Those that we ask; all others are between daemons, which share the container. */
const ASKED = ['NN1_HTTP', 'NN1_RPC', 'NN2_HTTP', 'NN2_RPC', 'DN_HTTP', 'ZK'];

/** As startHdfs, all daemons in one container. */
export async function startHdfsContainer(options: HdfsOptions = {}): Promise<HdfsServer> {
  const ports = await freePorts();
  return startCluster(await containerHost(ports, 'no', options), ports, options);
}

/** As startHdfsPair, all daemons in one container. */
export async function startHdfsPairContainer(options: HdfsPairOptions = {}): Promise<HdfsPair> {
  const kind = options.automatic === true ? 'automatic' : 'manual';
  const ports = await freePorts();
  return startPair(await containerHost(ports, kind, options), ports, options, kind);
}

async function containerHost(ports: HdfsPorts, kind: PairKind, options: HdfsOptions): Promise<HdfsHost> {
  if (!(await isHere(IMAGE)))
    throw new Error(
      `The image ${IMAGE} is not there. Build it once: tools/start-docker.sh && docker/build-hdfs-images.sh`,
    );
  await withoutReaper();
  // inside as outside: the NameNode names the DataNode's port as the DataNode knows it
  const mapped = ASKED.flatMap((name) => ports[name] ?? []).map((port) => ({ container: port, host: port }));
  const capacity = options.capacityBytes === undefined ? {} : { HDFS_CAPACITY_BYTES: String(options.capacityBytes) };
  let said = '';
  const starting = new GenericContainer(IMAGE)
    .withEnvironment({ ...environment(ports, kind, options), ...capacity })
    .withExposedPorts(...mapped)
    .withLogConsumer((stream) => {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-8192);
      });
    })
    .withWaitStrategy(Wait.forLogMessage('ready'))
    .withStartupTimeout(READY_MS)
    .start();
  try {
    return new ContainerHost(await starting);
  } catch (cause) {
    throw new Error(`HDFS did not start in a container. It said:\n${said}`, { cause });
  }
}

/** Its daemons are there when it is. */
class ContainerHost implements HdfsHost {
  readonly name = 'HDFS in a container';
  readonly #container: StartedTestContainer;
  readonly #known = new Set<DaemonName>();

  constructor(container: StartedTestContainer) {
    this.#container = container;
  }

  async spawn(daemon: DaemonName, env: Readonly<Record<string, string>>): Promise<void> {
    if (this.#known.has(daemon)) await this.#exec(['spawn', daemon], env);
    this.#known.add(daemon);
  }

  async signal(daemon: DaemonName, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    await this.#exec(['signal', daemon, signal.slice('SIG'.length)]);
  }

  async hasEnded(daemon: DaemonName): Promise<boolean> {
    return (await this.#container.exec([SCRIPT, 'runs', daemon])).exitCode !== 0;
  }

  async run(...words: string[]): Promise<void> {
    await this.#exec(['run', ...words]);
  }

  async log(daemon: DaemonName): Promise<string> {
    return (await this.#container.exec([SCRIPT, 'log', daemon])).output;
  }

  async remove(): Promise<void> {
    await this.#container.stop({ timeout: 0, remove: true, removeVolumes: true });
  }

  async #exec(words: string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
    const { exitCode, output } = await this.#container.exec([SCRIPT, ...words], { env });
    if (exitCode !== 0) throw new Error(`hdfs.sh ${words.join(' ')} ended with ${exitCode}: ${output}`);
  }
}
