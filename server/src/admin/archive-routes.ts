import type { FastifyInstance } from 'fastify';
import { allow } from './allow.ts';
import type { AdminContext } from './server.ts';

export const ARCHIVE: string = '/api/v1/archive';

/** What waits for an archive, is on its way, has failed, lies there. */
export function archiveRoutes(app: FastifyInstance, context: AdminContext): void {
  app.get<{ Querystring: { topic?: string } }>(ARCHIVE, async (request) => {
    const { topic } = request.query;
    allow(context.authorizer, 'describe', topic);
    return context.storage().archiveStatus(topic);
  });
}
