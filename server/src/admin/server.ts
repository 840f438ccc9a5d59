import type { Authorizer, Clock, Listener, Logger, Storage } from '@robustmq/core';
import Fastify, { type FastifyInstance } from 'fastify';
import type { PrometheusMetrics } from '../metrics/prometheus.ts';
import type { NodeStatus, Readiness } from '../node/readiness.ts';
import { archiveRoutes } from './archive-routes.ts';
import { answerError, notFound, refuseStrangeHosts } from './errors.ts';
import { healthRoutes } from './health-routes.ts';
import { openApi } from './openapi.ts';
import { recordRoutes } from './record-routes.ts';
import { topicRoutes } from './topic-routes.ts';

export interface AdminParts {
  readonly readiness: Readiness;
  readonly metrics: PrometheusMetrics;
  readonly status: () => NodeStatus;
  readonly logger: Logger;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
}

/** What routes get: the storage once it is there. Until then they answer 503. */
export interface AdminContext extends AdminParts {
  /** @throws NODE_STARTING */
  storage(): Storage;
  /** Aborted when the server closes: streams end. */
  readonly signal: AbortSignal;
}

/** Bytes of a request's body. */
export const ADMIN_BODY_LIMIT: number = 4 * 1024 * 1024;

const ADMIN_CONNECTIONS = 1024;

/** The Admin HTTP: the first thing of a node to listen and the last to close, so that health can always be asked. */
export class AdminServer {
  listener: Listener = { protocol: 'admin', host: '', port: 0, setting: 'admin.port' };
  readonly #app: FastifyInstance;
  readonly #closing = new AbortController();
  #storage: Storage | undefined;

  constructor(parts: AdminParts) {
    const context: AdminContext = {
      ...parts,
      signal: this.#closing.signal,
      storage: () => {
        if (this.#storage === undefined) throw notReady();
        return this.#storage;
      },
    };
    this.#app = Fastify({
      bodyLimit: ADMIN_BODY_LIMIT,
      forceCloseConnections: true,
      requestTimeout: 30_000,
      connectionTimeout: 0,
      keepAliveTimeout: 30_000,
      routerOptions: { maxParamLength: 512 },
      frameworkErrors: (error, request, reply) => answerError(error, request, reply, parts.logger),
    });
    this.#app.setErrorHandler((error, request, reply) => answerError(error, request, reply, parts.logger));
    this.#app.setNotFoundHandler(notFound);
    this.#app.addHook('onRequest', async (request) => refuseStrangeHosts(request, this.listener.host));
    healthRoutes(this.#app, context);
    topicRoutes(this.#app, context);
    recordRoutes(this.#app, context);
    archiveRoutes(this.#app, context);
    this.#app.get('/openapi.json', async () => openApi(parts.status().version));
  }

  async listen(host: string, port: number): Promise<void> {
    // each may hold a body, so their number has a bound
    this.#app.server.maxConnections = ADMIN_CONNECTIONS;
    await this.#app.listen({ host, port });
    const address = this.#app.server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    this.listener = { protocol: 'admin', host, port: bound, setting: 'admin.port' };
  }

  /** From now on topics and records are served, too. */
  serve(storage: Storage): void {
    this.#storage = storage;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#app.close();
  }
}

function notReady(): Error {
  return Object.assign(new Error('the node is starting'), { code: 'NODE_STARTING', statusCode: 503 });
}
