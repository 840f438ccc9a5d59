import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import { canHave, isHere, withoutReaper } from './docker-images.ts';
import {
  createBucketAt,
  freePort,
  isReady,
  MINIO,
  READY_MS,
  REGION,
  ROOT_KEY,
  ROOT_SECRET,
  type S3Recipe,
  type S3Server,
  VERSITYGW,
} from './s3-server.ts';

/** Another one, such as from a mirror: ROBUST_MINIO_IMAGE. Docker Hub gives MinIO's to nobody without an account any more. */
const PUBLISHED_MINIO = process.env.ROBUST_MINIO_IMAGE ?? 'quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z';
/** Where the server listens and stores, inside. */
const PORT = 9000;
const DIR = '/data';

/** The published image where it is there or can be pulled, the one that was built here where not. */
export async function minioImage(): Promise<string> {
  return (await canHave(PUBLISHED_MINIO)) ? PUBLISHED_MINIO : 'robustmq/minio:dev';
}

export async function startMinioContainer(): Promise<S3Server> {
  return startContainer(MINIO, await minioImage());
}

export function startVersitygwContainer(): Promise<S3Server> {
  return startContainer(VERSITYGW, 'robustmq/versitygw:dev');
}

async function startContainer(recipe: S3Recipe, image: string): Promise<S3Server> {
  if (!(await isHere(image)))
    throw new Error(
      `The image ${image} is not there. Build it once: tools/start-docker.sh && docker/build-s3-images.sh`,
    );
  await withoutReaper();
  // a port of our choice: one that the engine chooses is another one after each start
  const port = await freePort();
  const container = await new GenericContainer(image)
    .withEnvironment(recipe.env(ROOT_SECRET))
    .withCommand(recipe.words(DIR, `:${PORT}`))
    .withExposedPorts({ container: PORT, host: port })
    .withWaitStrategy(Wait.forHttp(recipe.readyPath, PORT).forStatusCode(200))
    .withStartupTimeout(READY_MS)
    .start();
  return new ContainerServer(recipe, container, port);
}

class ContainerServer implements S3Server {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly endpoint: string;
  readonly accessKeyId: string = ROOT_KEY;
  readonly secretAccessKey: string = ROOT_SECRET;
  readonly region: string = REGION;
  readonly #recipe: S3Recipe;
  readonly #container: StartedTestContainer;

  constructor(recipe: S3Recipe, container: StartedTestContainer, port: number) {
    this.name = recipe.name;
    this.host = container.getHost();
    this.port = port;
    this.endpoint = `http://${this.host}:${port}`;
    this.#recipe = recipe;
    this.#container = container;
  }

  createBucket(name: string): Promise<void> {
    return createBucketAt(this, name);
  }

  async kill(): Promise<void> {
    const container = await this.#handle();
    const ended = container.wait();
    await container.kill();
    await ended;
  }

  async pause(): Promise<void> {
    await (await this.#handle()).pause();
  }

  async resume(): Promise<void> {
    await (await this.#handle()).unpause();
  }

  async start(): Promise<void> {
    await (await this.#handle()).start();
    if (!(await isReady(this.endpoint + this.#recipe.readyPath)))
      throw new Error(`the container of ${this.name} does not answer on port ${this.port}`);
  }

  async stop(): Promise<void> {
    await this.#container.stop({ timeout: 0, remove: true, removeVolumes: true });
  }

  async #handle() {
    const { container } = await getContainerRuntimeClient();
    return container.getById(this.#container.getId());
  }
}
