import type { FastifyInstance } from 'fastify';
import { problemText } from '../node/readiness.ts';
import type { AdminContext } from './server.ts';

/** `/livez`, `/readyz`, `/status.json`, `/metrics`. */
export function healthRoutes(app: FastifyInstance, { status, metrics }: AdminContext): void {
  // alive is who can answer
  app.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok\n'));

  app.get<{ Querystring: { verbose?: string } }>('/readyz', async (request, reply) => {
    const { ready, phase, problems, listeners, engines, loops } = status();
    reply.code(ready ? 200 : 503);
    if (request.query.verbose !== undefined) return { ready, phase, problems, listeners, engines, loops };
    const lines = problems.map((problem) => `${problemText(problem)}\n`);
    return reply.type('text/plain').send(ready ? 'ok\n' : `not ready\n${lines.join('')}`);
  });

  app.get('/status.json', async () => status());

  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}
