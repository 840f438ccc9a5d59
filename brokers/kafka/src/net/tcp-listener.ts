import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { KafkaProtocolError } from '../errors.ts';

export interface TcpListener {
  readonly host: string;
  readonly port: number;
  /** Stops accepting; open connections stay. */
  stop(): Promise<void>;
}

/** @throws KAFKA_LISTEN_FAILED naming the setting to change */
export async function listenTcp(
  at: { readonly host: string; readonly port: number; readonly setting: string },
  accept: (socket: Socket) => void,
): Promise<TcpListener> {
  const server = createServer({ noDelay: true, keepAlive: true }, accept);
  await bind(server, at);
  // a TCP server that listens has an address with a port, never a path
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function bind(
  server: Server,
  at: { readonly host: string; readonly port: number; readonly setting: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      const why = cause.code === 'EADDRINUSE' ? 'another process has that port' : cause.message;
      reject(
        new KafkaProtocolError('KAFKA_LISTEN_FAILED', `can't listen for Kafka on ${at.host}:${at.port}: ${why}`, {
          hint: `Stop what uses it, or set ${at.setting} (0 takes a free port)`,
          cause,
        }),
      );
    };
    server.once('error', fail);
    server.listen({ host: at.host, port: at.port, backlog: 1024 }, () => {
      server.removeListener('error', fail);
      // later ones concern single connections (out of file descriptors); the listener goes on
      server.on('error', () => {});
      resolve();
    });
  });
}
