import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Clock, systemClock, type Timer } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import type { FlakyLink, LinkFault } from './flaky-link.ts';
import { LinkFaults } from './link-faults.ts';

export interface FlakyProxyOptions {
  /** The service behind it. */
  readonly host?: string;
  readonly port: number;
  /** Of where a request is cut. */
  readonly seed?: number;
  readonly clock?: Clock;
  /** Shared with other proxies: their requests are counted together, and a fault is of whichever comes to it. */
  readonly faults?: LinkFaults;
}

export interface FlakyProxy extends FlakyLink {
  /** Where the engine connects to, instead of the service. */
  readonly host: string;
  readonly port: number;
  /** Every connection ends, and none gets through any more, but for requests that are held back; the port stays taken, so that nobody who still tries reaches another one. */
  cut(): void;
  close(): Promise<void>;
}

/**
 * A TCP proxy on the loopback interface that can spoil single requests. It knows no protocol: a request is what a client sends on a connection until
 * the service answers, which is right for HTTP/1.1 and whatever else takes turns.
 *
 *     const proxy = await flakyProxy({ port: minio.port });
 *     proxy.fail(3, { how: 'drop-reply' });      // the third request from now is carried out, and nobody hears of it
 */
export async function flakyProxy(options: FlakyProxyOptions): Promise<FlakyProxy> {
  const proxy = new LoopbackProxy(options);
  await proxy.listen();
  return proxy;
}

const LOOPBACK = '127.0.0.1';

class LoopbackProxy implements FlakyProxy {
  readonly host = LOOPBACK;
  readonly #options: FlakyProxyOptions;
  readonly #random: SeededRandom;
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  readonly #faults: LinkFaults;
  #isCut = false;

  constructor(options: FlakyProxyOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed ?? 1);
    this.#faults = options.faults ?? new LinkFaults();
    this.#server = createServer((client) => this.#accept(client));
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  get requests(): number {
    return this.#faults.requests;
  }

  get held(): number {
    return this.#faults.held;
  }

  get arrived(): number {
    return this.#faults.arrived;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, LOOPBACK, resolve);
    });
  }

  fail(nth: number, fault: LinkFault): () => number {
    return this.#faults.fail(nth, fault);
  }

  heal(): void {
    this.#faults.disarm();
    for (const line of this.#lines) line.goOn();
  }

  cut(): void {
    this.#isCut = true;
    for (const line of this.#lines) line.end();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const line of this.#lines) line.destroy();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#isCut) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const { host = LOOPBACK, port, clock = systemClock } = this.#options;
    const line = new Line(client, connect({ host, port }), {
      clock,
      cutAt: (bytes) => Math.floor(this.#random.next() * bytes),
      next: () => this.#faults.next(),
      hold: () => this.#faults.hold(),
      ended: () => void this.#lines.delete(line),
    });
    this.#lines.add(line);
  }
}

interface LineOptions {
  readonly clock: Clock;
  cutAt(bytes: number): number;
  next(): LinkFault | undefined;
  hold(): (hasArrived: boolean) => void;
  ended(): void;
}

/** Of a request that is held back; what a client sends beyond that waits in its socket. */
const MOST_HELD_BYTES = 16 * 1024 * 1024;
/** Who has gone may have sent half a request only, which nobody answers. */
const ANSWERED_WITHIN_MS = 5000;

/** One connection through the proxy. */
class Line {
  readonly #client: Socket;
  readonly #service: Socket;
  readonly #options: LineOptions;
  /** Whose turn it is: the first bytes of the client after some of the service begin a request. */
  #asking = false;
  #fault: LinkFault | undefined;
  #timer: Timer | undefined;
  /** What has come of a request that is held back. */
  #held: { readonly pieces: Buffer[]; bytes: number } | undefined;
  /** To be called when what was held back has had its effect. */
  #release: ((hasArrived: boolean) => void) | undefined;

  constructor(client: Socket, service: Socket, options: LineOptions) {
    this.#client = client;
    this.#service = service;
    this.#options = options;
    client.setNoDelay(true);
    service.setNoDelay(true);
    client.on('data', (bytes) => this.#ask(bytes));
    service.on('data', (bytes) => this.#answer(bytes));
    client.on('end', () => {
      if (this.#release === undefined) service.end();
    });
    service.on('end', () => client.end());
    client.on('drain', () => {
      if (this.#fault?.how !== 'delay') service.resume();
    });
    service.on('drain', () => client.resume());
    client.on('error', () => this.end());
    client.on('close', () => this.end());
    service.on('error', () => this.destroy());
    service.on('close', () => this.destroy());
  }

  /** What is on its way gets there all the same. */
  end(): void {
    // a reset, as when the other side is gone: what comes back is lost
    this.#client.resetAndDestroy();
    if (this.#release === undefined || this.#fault?.how === 'delay') this.destroy();
    else if (this.#held === undefined) this.#waitForAnswer();
  }

  destroy(): void {
    this.#timer?.cancel();
    this.#client.resetAndDestroy();
    this.#service.destroy();
    this.#isReleased(false);
    this.#options.ended();
  }

  /** Lets go of what is held. */
  goOn(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#fault?.how === 'delay') this.#isReleased(false);
    this.#fault = undefined;
    const held = this.#held;
    this.#held = undefined;
    this.#service.resume();
    if (held === undefined) return;
    this.#service.write(Buffer.concat(held.pieces));
    if (this.#client.destroyed) this.#waitForAnswer();
    else this.#client.resume();
  }

  #waitForAnswer(): void {
    this.#timer ??= this.#options.clock.timer(ANSWERED_WITHIN_MS, () => this.destroy());
  }

  #ask(bytes: Buffer): void {
    if (!this.#asking) {
      this.#asking = true;
      this.#fault = this.#options.next();
      if (this.#fault?.how === 'delay' || this.#fault?.how === 'delay-request') this.#hold(this.#fault);
      if (this.#fault?.how === 'cut') {
        // what has gone out arrives, and is all that does
        this.#client.pause();
        this.#service.end(bytes.subarray(0, this.#options.cutAt(bytes.length)), () => this.end());
      }
    }
    if (this.#held !== undefined) this.#keep(bytes, this.#held);
    else if (this.#fault?.how === 'refuse') this.end();
    else if (this.#fault?.how !== 'cut' && !this.#service.write(bytes)) this.#client.pause();
  }

  #answer(bytes: Buffer): void {
    this.#asking = false;
    this.#isReleased(true);
    if (this.#fault?.how === 'drop-reply' || this.#client.destroyed) this.destroy();
    else if (!this.#client.write(bytes)) this.#service.pause();
  }

  #hold({ how, forMs }: LinkFault): void {
    this.#release = this.#options.hold();
    if (how === 'delay') this.#service.pause();
    else this.#held = { pieces: [], bytes: 0 };
    if (forMs !== undefined) this.#timer = this.#options.clock.timer(forMs, () => this.goOn());
  }

  #keep(bytes: Buffer, held: { readonly pieces: Buffer[]; bytes: number }): void {
    held.pieces.push(bytes);
    held.bytes += bytes.length;
    if (held.bytes > MOST_HELD_BYTES) this.#client.pause();
  }

  #isReleased(hasArrived: boolean): void {
    this.#release?.(hasArrived);
    this.#release = undefined;
  }
}
