import { ARCHIVE } from './archive-routes.ts';
import { PUBLISH } from './record-json.ts';
import { ALTER_TOPIC, CREATE_TOPIC, RECOVER_TOPIC, TOPICS } from './topic-routes.ts';

/** The Admin HTTP as an OpenAPI 3.0 document. */
export function openApi(version: string): object {
  const byName = [{ name: 'name', in: 'path', required: true, schema: { type: 'string' } }];
  return {
    openapi: '3.0.3',
    info: { title: 'RobustMQ Admin', version, license: { name: 'Apache-2.0' } },
    paths: {
      '/livez': { get: operation('Says ok while the process answers', { 200: 'ok' }) },
      '/readyz': {
        get: {
          ...operation('Can the node serve? With ?verbose as JSON', { 200: 'yes', 503: 'no, and why' }),
          parameters: [query('verbose')],
        },
      },
      '/status.json': { get: operation('Listeners, engines, loops, problems', { 200: 'the status' }) },
      '/metrics': { get: operation('Metrics in the format of Prometheus', { 200: 'the metrics' }) },
      [TOPICS]: {
        get: { ...operation('All topics', { 200: 'the topics' }), parameters: [query('internal')] },
        post: {
          ...operation('Creates a topic', { 201: 'the topic', 400: 'error', 409: 'error' }),
          requestBody: body(CREATE_TOPIC),
        },
      },
      [`${TOPICS}/{name}`]: {
        parameters: byName,
        get: operation('One topic with its shards and their segments', { 200: 'the topic', 404: 'error' }),
        patch: {
          ...operation('Changes settings of a topic; null resets one', {
            200: 'the topic',
            400: 'error',
            404: 'error',
          }),
          requestBody: body(ALTER_TOPIC),
        },
        delete: operation('Deletes a topic', { 204: 'gone', 404: 'error' }),
      },
      [`${TOPICS}/{name}/recover`]: {
        parameters: byName,
        post: {
          ...operation("Gives up what can't be recovered", { 200: 'the offsets given up', 404: 'error' }),
          requestBody: body(RECOVER_TOPIC),
        },
      },
      [`${TOPICS}/{name}/records`]: {
        parameters: byName,
        get: {
          ...operation('Records of one shard, one JSON object a line', { 200: 'records', 404: 'error', 416: 'error' }),
          parameters: ['shard', 'from', 'limit', 'follow'].map(query),
        },
        post: {
          ...operation('Publishes records', { 200: 'where they are', 400: 'error' }),
          requestBody: body(PUBLISH),
        },
      },
      [ARCHIVE]: {
        get: {
          ...operation('Segments that wait for an archive, are on their way, have failed, or lie there', {
            200: 'by shard, and the manifests',
            404: 'error',
          }),
          parameters: [query('topic')],
        },
      },
    },
    components: {
      schemas: {
        Error: {
          type: 'object',
          required: ['code', 'message'],
          properties: { code: { type: 'string' }, message: { type: 'string' }, hint: { type: 'string' } },
        },
      },
    },
  };
}

function operation(summary: string, responses: Readonly<Record<number, string>>): object {
  const error = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } };
  return {
    summary,
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, description]) => [
        status,
        Number(status) < 400 ? { description } : { description, content: error },
      ]),
    ),
  };
}

function query(name: string): object {
  return { name, in: 'query', required: false, schema: { type: 'string' } };
}

function body(schema: object): object {
  return { required: true, content: { 'application/json': { schema } } };
}
