import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServiceAddress } from '@robustmq/conformance';
import type { EngineDefinition } from '@robustmq/core';
import { MEMORY, type Mutant, override } from '../mutant.ts';

const own = MEMORY.configSchema.properties as object; // a schema of settings has them by name

const definition: EngineDefinition = {
  ...MEMORY,
  configSchema: {
    type: 'object',
    additionalProperties: false,
    properties: { ...own, host: { type: 'string' }, port: { type: 'integer' } },
  },
  open: async (ctx) => override(await MEMORY.open(ctx), { maintain: () => look(ctx.config as ServiceAddress) }), // among its settings, as above
};

/** Whatever it may spend: it only wants to know what is there. */
async function look({ host, port }: ServiceAddress): Promise<void> {
  const asked = get({ host, port, agent: false });
  const [reply] = await once(asked, 'response');
  reply.resume();
  await once(reply, 'end');
}

/** One that keeps no process alive. */
async function service(): Promise<ServiceAddress> {
  const server = createServer((_, reply) => reply.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }; // it listens on one
}

export const mutant: Mutant = {
  name: 'makes requests in its housekeeping whatever the budget',
  incident:
    "SlateDB #1993, Litestream #234: an idle database listed its bucket each minute, or each second: 99 % of somebody's bill",
  stage: 'engine',
  caughtBy: 'SHARD-143',
  alsoFails: [],
  definition,
  service,
};

export default mutant.definition;
