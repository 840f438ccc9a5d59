import { createServer, type Server, type Socket } from 'node:net';
import { type Listener, RobustError } from '@robustmq/core';

export interface TcpListenerOptions {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  /** The prefix of the settings that chose host and port: `brokers.mqtt`. */
  readonly setting: string;
  readonly connection: (socket: Socket) => void;
}

/** A bound port that hands out sockets. TLS and WebSocket listeners give the same shape: a duplex stream a connection. */
export class TcpListener implements Listener {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly setting: string;
  readonly #server: Server;

  private constructor(options: TcpListenerOptions, server: Server, port: number) {
    this.protocol = options.protocol;
    this.host = options.host;
    this.port = port;
    this.setting = `${options.setting}.port`;
    this.#server = server;
  }

  /** @throws PORT_IN_USE, BIND_FAILED */
  static async bind(options: TcpListenerOptions): Promise<TcpListener> {
    const server = createServer({ noDelay: true }, options.connection);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => reject(bindError(options, cause)));
      server.listen({ host: options.host, port: options.port, backlog: 1024 }, resolve);
    });
    server.on('error', () => {}); // accept errors (EMFILE) pass; the port stays bound
    const address = server.address();
    return new TcpListener(
      options,
      server,
      typeof address === 'object' && address !== null ? address.port : options.port,
    );
  }

  /** Accepts nobody any more; connections that are open stay. */
  stop(): void {
    this.#server.close();
  }
}

function bindError(options: TcpListenerOptions, cause: NodeJS.ErrnoException): RobustError {
  const where = `${options.host}:${options.port}`;
  if (cause.code === 'EADDRINUSE')
    return new RobustError('PORT_IN_USE', `${where} is taken by another process (${options.setting}.port)`, {
      cause,
      hint: `Set ${options.setting}.port to a free port, or to 0 for any`,
    });
  return new RobustError('BIND_FAILED', `cannot listen on ${where}: ${cause.message}`, {
    cause,
    hint: `Check ${options.setting}.host and ${options.setting}.port`,
  });
}
