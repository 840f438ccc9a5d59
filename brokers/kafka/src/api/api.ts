import type { Logger, Principal } from '@robustmq/core';
import type { Decoded, Encodable, MessageTable } from '../schema/table.ts';
import type { Endpoint, Services } from '../services.ts';

/** A request's surroundings. */
export interface RequestContext {
  readonly services: Services;
  readonly principal: Principal;
  readonly version: number;
  readonly clientId: string | null;
  readonly logger: Logger;
  /** Where this client reaches this node. */
  readonly endpoint: Endpoint;
  /** Aborted when nothing is worth waiting for any more: the connection is gone, or the node stops. */
  readonly signal: AbortSignal;
  /**
   * Takes no further request of this connection until the returned function is called. For whoever has to wait *before* it
   * does what must happen in the order of the requests, such as an append.
   */
  hold(): () => void;
  /** Books record bytes that go into the response; they are given back when they have left the process. */
  holdOutput(bytes: number): void;
}

/** The client wants no answer. */
export const NO_RESPONSE: unique symbol = Symbol('no response');
/** The client wants no answer, and learns of the failure by the end of its connection. */
export const CLOSE_CONNECTION: unique symbol = Symbol('close connection');

export type Answer<T extends MessageTable> = Encodable<T> | typeof NO_RESPONSE | typeof CLOSE_CONNECTION;

/** One API of the protocol: its tables and what is done about a request. */
export interface Api<Request extends MessageTable = MessageTable, Response extends MessageTable = MessageTable> {
  readonly key: number;
  readonly name: string;
  readonly request: Request;
  readonly response: Response;
  handle(request: Decoded<Request>, context: RequestContext): Answer<Response> | Promise<Answer<Response>>;
}

/** Types the handler by its tables, and forgets them, so that all APIs fit one list. */
export function defineApi<Request extends MessageTable, Response extends MessageTable>(
  api: Api<Request, Response>,
): Api {
  // the connection decodes with `request` and encodes with `response`, so the handler gets and gives what it says
  return api as unknown as Api;
}
