import { type JsonSchema, type Shard, StorageError, type Topic, type TopicOverrides } from '@robustmq/core';
import type { JsonObject } from '@robustmq/core/config';
import { topicOverrides, validateData } from '@robustmq/core/config';
import type { FastifyInstance } from 'fastify';
import { allow } from './allow.ts';
import { invalidRequest } from './errors.ts';
import type { AdminContext } from './server.ts';

export const TOPICS: string = '/api/v1/topics';

const settings: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: topicOverrides({ nullable: true }),
};

/** Bodies, for the checks here and for the OpenAPI document. */
export const CREATE_TOPIC: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 249 },
    settings,
    validateOnly: { type: 'boolean' },
  },
};

export const ALTER_TOPIC: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    settings,
    allowWeakerDurability: { type: 'boolean' },
    validateOnly: { type: 'boolean' },
  },
};

export const RECOVER_TOPIC: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['acceptLoss'],
  // to be said in so many words
  properties: { acceptLoss: { type: 'boolean', enum: [true] } },
};

interface CreateBody {
  readonly name: string;
  readonly settings?: TopicOverrides;
  readonly validateOnly?: boolean;
}

interface AlterBody {
  readonly settings?: TopicOverrides;
  readonly allowWeakerDurability?: boolean;
  readonly validateOnly?: boolean;
}

type ByName = { Params: { name: string } };

export function topicRoutes(app: FastifyInstance, context: AdminContext): void {
  const { authorizer } = context;
  app.get<{ Querystring: { internal?: string } }>(TOPICS, async (request) => {
    allow(authorizer, 'describe');
    const all = [...context.storage().topics()];
    const shown = all.filter((topic) => !topic.internal || request.query.internal !== undefined);
    return { topics: shown.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(describeTopic) };
  });

  app.post(TOPICS, async (request, reply) => {
    const { name, settings, validateOnly } = checkBody<CreateBody>(request.body, CREATE_TOPIC);
    allow(authorizer, 'create', name);
    const topic = await context.storage().createTopic(name, {
      ...(settings === undefined ? {} : { overrides: settings }),
      ...(validateOnly === undefined ? {} : { validateOnly }),
    });
    return reply.code(validateOnly === true ? 200 : 201).send(describeTopic(topic));
  });

  app.get<ByName>(`${TOPICS}/:name`, async (request) => {
    allow(authorizer, 'describe', request.params.name);
    const storage = context.storage();
    const topic = findTopic(context, request.params.name);
    return { ...describeTopic(topic), shards: await Promise.all(storage.shards(topic).map(describeShard)) };
  });

  app.patch<ByName>(`${TOPICS}/:name`, async (request) => {
    const { settings = {}, ...options } = checkBody<AlterBody>(request.body, ALTER_TOPIC);
    allow(authorizer, 'alter', request.params.name);
    return describeTopic(await context.storage().alterTopic(request.params.name, settings, options));
  });

  app.post<ByName>(`${TOPICS}/:name/recover`, async (request) => {
    checkBody(request.body, RECOVER_TOPIC);
    allow(authorizer, 'alter', request.params.name);
    return { lost: await context.storage().acceptLosses(request.params.name) };
  });

  app.delete<ByName>(`${TOPICS}/:name`, async (request, reply) => {
    allow(authorizer, 'delete', request.params.name);
    await context.storage().deleteTopic(request.params.name);
    return reply.code(204).send();
  });
}

/** @throws TOPIC_UNKNOWN as the storage says it */
export function findTopic(context: AdminContext, name: string): Topic {
  const topic = context.storage().topic(name);
  if (topic !== undefined) return topic;
  throw invalidTopic(name);
}

function invalidTopic(name: string): Error {
  return new StorageError('TOPIC_UNKNOWN', `there is no topic ${JSON.stringify(name)}`, {
    hint: 'robust-server topic ls shows those that are there',
  });
}

/** @throws REQUEST_INVALID */
export function checkBody<T>(body: unknown, schema: JsonSchema): T {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalidRequest('the body must be a JSON object', 'Send it with content-type: application/json');
  // parsed from JSON by fastify
  const problems = validateData(body as JsonObject, schema);
  if (problems.length > 0)
    throw invalidRequest(
      problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '),
    );
  // the schema has just said so
  return body as T;
}

function describeTopic(topic: Topic): object {
  const { name, id, shards, internal, settings, origins } = topic;
  return { name, id, shardCount: shards, internal, settings, origins };
}

async function describeShard(shard: Shard): Promise<object> {
  const { index, owner, unavailable } = shard;
  const broken =
    unavailable === undefined ? {} : { unavailable: { code: unavailable.code, message: unavailable.message } };
  // one shard that can't be asked must not hide the others
  const [offsets, segments] = await Promise.allSettled([shard.offsets(), shard.segments()]);
  return {
    index,
    owner,
    ...broken,
    ...(offsets.status === 'fulfilled' ? { offsets: offsets.value } : { error: String(offsets.reason) }),
    segments: segments.status === 'fulfilled' ? segments.value : [],
  };
}
