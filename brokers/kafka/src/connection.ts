import { describeError, type Logger, type Principal } from '@robustmq/core';
import { type Answer, CLOSE_CONNECTION, type RequestContext } from './api/api.ts';
import { unsupportedApiVersions } from './api/api-versions.ts';
import type { ApiEntry, ApiRegistry } from './api/registry.ts';
import { KafkaProtocolError, malformed } from './errors.ts';
import { Frames, SHOWN_BYTES } from './frames.ts';
import { API_VERSIONS_KEY, encodeResponse, type RequestHeader, readRequestHeader, skipHeaderTags } from './messages.ts';
import type { CloseReason } from './metrics.ts';
import { codecOf } from './schema/compile.ts';
import type { MessageTable } from './schema/table.ts';
import type { Endpoint, Services } from './services.ts';
import { Reader } from './wire/reader.ts';

/** What a connection needs of its socket. */
export interface ConnectionPort {
  /** Sends, some time this turn; `heldBytes` of it are released from the output account once they have left. */
  write(parts: readonly Uint8Array[], heldBytes: number): void;
  /** Whether bytes should come in. */
  setReading(reading: boolean): void;
  /** Ends the connection, after what has been written when `flush` is set. */
  close(flush: boolean): void;
}

/** A request that is being worked on; answers leave in the order of requests. */
interface Slot {
  done: boolean;
  parts: readonly Uint8Array[];
  /** Bytes of its frame in the node's memory account, until it is done. */
  readonly requestBytes: number;
  /** Record bytes of its answer in the output account, until they have left. */
  heldBytes: number;
}

/** A request arrives at this rate at least, after a while in which a client may have paused; less when memory is kept for it. */
const SLOWEST_BYTES_PER_MS = 64;
const ARRIVAL_GRACE_MS = 30_000;
const CLAIM_GRACE_MS = 10_000;
/** How long a client that was told to go may take to read what was left for it. */
const LINGER_MS = 10_000;

const PRODUCE_KEY = 0;

/** What the handlers share, and the handlers themselves. */
export interface ConnectionServices extends Services {
  readonly apis: ApiRegistry;
}

/**
 * One client's connection without its socket: bytes in, bytes out. Requests are taken in order, up to a bound at a time, and
 * answered in order. While there is no room (memory of the node, a shard's credit, too many at a time, an unread answer) nothing more is
 * taken, and the socket is not read.
 */
export class Connection {
  readonly #services: ConnectionServices;
  readonly #port: ConnectionPort;
  readonly #principal: Principal;
  readonly #endpoint: Endpoint;
  readonly #logger: Logger;
  readonly #frames: Frames;
  #slots: Slot[] = [];
  #holds = 0;
  /** Record bytes of answers that the port does not have yet. */
  #heldBytes = 0;
  /** Bytes in the memory account for the request that is arriving. */
  #admittedBytes = 0;
  #outputFull = false;
  #waitsForMemory = false;
  #pumping = false;
  #reading = true;
  #draining = false;
  #closed = false;
  #abort: AbortController | undefined;
  #lastActive: number;
  #frameSince = 0;

  constructor(
    services: ConnectionServices,
    port: ConnectionPort,
    peer: { readonly principal: Principal; readonly endpoint: Endpoint; readonly logger: Logger },
  ) {
    this.#services = services;
    this.#port = port;
    this.#principal = peer.principal;
    this.#endpoint = peer.endpoint;
    this.#logger = peer.logger;
    this.#frames = new Frames(services.settings.maxRequestBytes);
    this.#lastActive = services.clock.monotonic();
  }

  get inFlight(): number {
    return this.#slots.length;
  }

  receive(chunk: Buffer): void {
    if (this.#closed) return;
    this.#lastActive = this.#services.clock.monotonic();
    this.#services.metrics.bytesIn.value += chunk.length;
    if (!this.#frames.partial) this.#frameSince = this.#lastActive;
    this.#frames.push(chunk);
    this.#pump();
  }

  /** Called when more is on its way to the client than allowed, and when it has caught up; also from within a write. */
  outputFull(full: boolean): void {
    this.#lastActive = this.#services.clock.monotonic();
    this.#outputFull = full;
    if (!full) this.#pump();
  }

  /** Takes no more requests; ends once those in flight are answered. Waiting fetches are answered now. */
  drain(): void {
    this.#draining = true;
    this.#abort?.abort();
    this.#finishDrain();
  }

  /** The shared sweep asks this now and then. */
  expire(now: number): void {
    if (this.#closed) {
      // it was told good-bye, and does not read that
      if (now - this.#lastActive > LINGER_MS) this.#port.close(false);
      return;
    }
    const { idleTimeoutMs } = this.#services.settings;
    const grace = this.#admittedBytes > 0 ? CLAIM_GRACE_MS : ARRIVAL_GRACE_MS;
    const allowed = grace + this.#frames.availableBytes / SLOWEST_BYTES_PER_MS;
    const expecting = this.#frames.partial && (this.#reading || (this.#outputFull && this.#admittedBytes > 0));
    if (expecting && now - this.#frameSince > allowed) this.close('stalled', 'a request did not arrive in time');
    else if (now - this.#lastActive > idleTimeoutMs && (this.#slots.length === 0 || this.#outputFull))
      this.close('idle', `nothing moved for ${idleTimeoutMs} ms`);
  }

  /** Ends the connection and gives everything back. Idempotent. */
  close(reason: CloseReason, why?: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#lastActive = this.#services.clock.monotonic();
    this.#services.metrics.disconnects[reason].value++;
    if (why !== undefined) this.#logger.info({ reason }, `closing a Kafka connection: ${why}`);
    this.#abort?.abort();
    this.#services.memory.give(this.#admittedBytes);
    for (const slot of this.#slots) if (slot.done) this.#services.output.release(slot.heldBytes);
    this.#port.close(reason !== 'client' && reason !== 'error');
  }

  /** Takes requests while there is room for them. */
  #pump(): void {
    // a handler that answers at once calls back into here; the loop below goes on anyway
    if (this.#pumping || this.#closed) return;
    this.#pumping = true;
    try {
      let starved = false;
      const admit = (bytes: number, apiKey: number): boolean => this.#admit(bytes, apiKey);
      while (!this.#closed && !starved && this.#mayTake()) {
        const frame = this.#frames.next(admit);
        if (frame === 'full') this.#awaitMemory();
        else if (frame === 'more') starved = true;
        else this.#take(frame);
      }
      // what comes next may come in; only with that at hand, and no way to go on, is the socket left alone
      if (!this.#closed) this.#setReading(starved || !this.#frames.partial);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#pumping = false;
    }
  }

  #mayTake(): boolean {
    return (
      this.#holds === 0 &&
      !this.#outputFull &&
      this.#heldBytes <= this.#services.settings.maxOutputBytesPerConnection &&
      !this.#waitsForMemory &&
      !this.#draining &&
      this.#slots.length < this.#services.settings.maxInFlightPerConnection
    );
  }

  /**
   * Room for a request that is about to arrive. Only what carries data has to ask: a stalled disk whose producers have used up the
   * memory for requests must not keep others from reading, or from asking how things are.
   */
  #admit(bytes: number, apiKey: number): boolean {
    if (apiKey !== PRODUCE_KEY && bytes <= SHOWN_BYTES) return true;
    if (!this.#services.memory.tryTake(bytes)) return false;
    this.#admittedBytes = bytes;
    return true;
  }

  #setReading(reading: boolean): void {
    if (reading === this.#reading) return;
    this.#reading = reading;
    const now = this.#services.clock.monotonic();
    // the time in which we did not read is not the client's
    if (reading) this.#frameSince = now;
    else this.#services.metrics.pauses.value++;
    this.#port.setReading(reading);
  }

  #awaitMemory(): void {
    this.#waitsForMemory = true;
    void this.#services.memory.room(this.#frames.expectedBytes).then(() => {
      this.#waitsForMemory = false;
      this.#pump();
    });
  }

  #take(frame: Buffer): void {
    this.#frameSince = this.#services.clock.monotonic();
    const slot: Slot = { done: false, parts: [], requestBytes: this.#admittedBytes, heldBytes: 0 };
    this.#admittedBytes = 0;
    this.#slots.push(slot);
    try {
      this.#dispatch(frame, slot);
    } catch (error) {
      this.#settle(slot, []);
      throw error;
    }
  }

  #dispatch(frame: Buffer, slot: Slot): void {
    const reader = new Reader(frame);
    const header = readRequestHeader(reader);
    const entry = this.#services.apis.get(header.apiKey);
    if (entry === undefined) throw malformed(`API key ${header.apiKey} is not served here`);
    if (header.apiVersion < entry.min || header.apiVersion > entry.max) {
      // KIP-511: a client from the future learns what there is, in the one form that every client can read
      if (header.apiKey !== API_VERSIONS_KEY)
        throw malformed(
          `version ${header.apiVersion} of ${entry.api.name} is not served here, ${entry.min} to ${entry.max} are`,
        );
      this.#settle(slot, unsupportedApiVersions(header, this.#services.apis));
      return;
    }
    const codec = codecOf(entry.api.request, header.apiVersion);
    if (codec.flexible) skipHeaderTags(reader);
    this.#answer(slot, entry, header, entry.api.handle(codec.decode(reader), this.#context(header, slot)));
  }

  #answer(
    slot: Slot,
    entry: ApiEntry,
    header: RequestHeader,
    answer: Answer<MessageTable> | Promise<Answer<MessageTable>>,
  ): void {
    const metrics = this.#services.metrics.api(entry.api.name);
    const since = this.#services.clock.monotonic();
    metrics.requests.value++;
    const finish = (value: Answer<MessageTable>): void => {
      metrics.seconds.observe((this.#services.clock.monotonic() - since) / 1000);
      this.#settle(slot, typeof value === 'symbol' ? [] : encodeResponse(entry.api, header, value));
      if (value === CLOSE_CONNECTION) this.close('refused', 'an error on a request that wants no answer');
    };
    if (!(answer instanceof Promise)) finish(answer);
    else
      answer.then(finish).catch((error: unknown) => {
        if (!slot.done) this.#settle(slot, []);
        this.#fail(error);
      });
  }

  #context(header: RequestHeader, slot: Slot): RequestContext {
    const connection = this;
    return {
      services: this.#services,
      principal: this.#principal,
      version: header.apiVersion,
      clientId: header.clientId,
      logger: this.#logger,
      endpoint: this.#endpoint,
      get signal() {
        return connection.#signal();
      },
      hold: () => connection.#hold(),
      holdOutput: (bytes) => {
        slot.heldBytes += bytes;
        connection.#heldBytes += bytes;
        connection.#services.output.hold(bytes);
      },
    };
  }

  #signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#closed || this.#draining) this.#abort.abort();
    return this.#abort.signal;
  }

  #hold(): () => void {
    this.#holds++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holds--;
      this.#pump();
    };
  }

  /** The request is done: its frame's bytes go back, and all answers that are next in order go out. */
  #settle(slot: Slot, parts: readonly Uint8Array[]): void {
    slot.done = true;
    slot.parts = parts;
    this.#services.memory.give(slot.requestBytes);
    if (this.#closed) {
      this.#services.output.release(slot.heldBytes);
      return;
    }
    let sent = 0;
    for (const next of this.#slots) {
      if (!next.done) break;
      sent++;
      this.#heldBytes -= next.heldBytes;
      if (next.parts.length > 0) this.#port.write(next.parts, next.heldBytes);
    }
    this.#slots = this.#slots.slice(sent);
    this.#finishDrain();
    this.#pump();
  }

  #finishDrain(): void {
    if (this.#draining && this.#slots.length === 0) this.close('shutdown');
  }

  #fail(error: unknown): void {
    if (error instanceof KafkaProtocolError) {
      this.close('invalid', describeError(error));
      return;
    }
    this.#logger.error({ err: error }, 'a Kafka connection failed in a way it never should');
    this.close('error');
  }
}
