import { isIP } from 'node:net';
import { isStorageError, type Logger, RobustError } from '@robustmq/core';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The body of every answer that is no success. */
export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** HTTP statuses of our codes; what isn't here is 500, or 400 when the caller's mistake. */
const STATUS: Readonly<Record<string, number>> = {
  TOPIC_UNKNOWN: 404,
  SHARD_UNKNOWN: 404,
  TOPIC_EXISTS: 409,
  WEAKER_DURABILITY: 409,
  META_GUARD_FAILED: 409,
  OFFSET_TRIMMED: 416,
  OFFSET_BEYOND_END: 416,
  BATCH_TOO_LARGE: 413,
  INVALID_ARGUMENT: 400,
  TOPIC_INVALID: 400,
  ENGINE_UNKNOWN: 400,
  NOT_SUPPORTED: 400,
  BATCH_INVALID: 400,
  REQUEST_INVALID: 400,
  HOST_NOT_ALLOWED: 403,
  NOT_AUTHORIZED: 403,
  DISK_FULL: 507,
  BACKPRESSURE: 503,
  CLOSED: 503,
  NODE_DOWN: 503,
  NOT_OWNER: 503,
  META_UNAVAILABLE: 503,
  TIMEOUT: 504,
};

export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply {
  const { status, body } = describe(error);
  if (status >= 500 && !isStorageError(error))
    logger.error({ err: error, url: request.url }, 'an admin request failed');
  return reply.code(status).send(body);
}

export function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const body: ErrorBody = {
    code: 'NOT_FOUND',
    message: `there is no ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}`,
    hint: 'GET /openapi.json lists what there is',
  };
  return reply.code(404).send(body);
}

/**
 * A page in the operator's browser must not reach a node on loopback by a name that its author points there (DNS rebinding). Who binds
 * wider names hosts as they like.
 */
export function refuseStrangeHosts(request: FastifyRequest, boundTo: string): void {
  if (!isLoopback(boundTo)) return;
  const name = request.hostname.replace(/^\[|\]$/g, '');
  if (name === '' || name === 'localhost' || name === boundTo || isIP(name) !== 0) return;
  throw new RobustError(
    'HOST_NOT_ALLOWED',
    `this node is bound to ${boundTo} and does not answer to ${name.slice(0, 100)}`,
    {
      hint: `Ask for http://${boundTo}`,
    },
  );
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

export function invalidRequest(message: string, hint?: string): RobustError {
  return new RobustError('REQUEST_INVALID', message, hint === undefined ? {} : { hint });
}

function describe(error: unknown): { readonly status: number; readonly body: ErrorBody } {
  if (error instanceof RobustError) {
    const { code, message, hint } = error as RobustError;
    return { status: STATUS[code] ?? 500, body: { code, message, ...(hint === undefined ? {} : { hint }) } };
  }
  if (error instanceof Error) {
    // fastify's own carry a status: bad JSON, too large a body, an unknown media type
    const { statusCode, code } = error as Error & { statusCode?: number; code?: string };
    if (code === 'NODE_STARTING')
      return { status: 503, body: { code, message: error.message, hint: 'Try again in a moment' } };
    if (statusCode !== undefined && statusCode < 500)
      return { status: statusCode, body: { code: 'REQUEST_INVALID', message: error.message } };
  }
  return { status: 500, body: { code: 'INTERNAL', message: 'something went wrong; the log of the node says what' } };
}
