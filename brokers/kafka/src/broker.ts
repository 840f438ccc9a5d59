import type { Socket } from 'node:net';
import { ANONYMOUS, TcpListener } from '@robustmq/broker-common';
import type { Broker, BrokerContext, Timer } from '@robustmq/core';
import { apis } from './api/registry.ts';
import { Connection, type ConnectionServices } from './connection.ts';
import { createMetrics } from './metrics.ts';
import { SocketPort } from './net/socket-port.ts';
import { TurnWriter } from './net/turn-writer.ts';
import { OutputAccount } from './output-account.ts';
import type { Endpoint } from './services.ts';
import type { KafkaSettings } from './settings.ts';

/** How often connections are looked at for being idle or stalled: one timer for all of them. */
const SWEEP_MS = 1000;
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);

/** Listens, and gives each accepted socket a connection. */
export async function openKafkaBroker(ctx: BrokerContext<KafkaSettings>): Promise<Broker> {
  const { config } = ctx;
  const output = new OutputAccount(config.maxResponseBytes);
  const open = new Map<Connection, Socket>();
  const services: ConnectionServices = {
    ...{ apis, storage: ctx.storage, authorizer: ctx.authorizer, node: ctx.node, memory: ctx.memory, output },
    ...{ settings: config, clock: ctx.clock, logger: ctx.logger },
    metrics: createMetrics(ctx.metrics, { connections: () => open.size, outputBytes: () => output.held }),
  };
  const writer = new TurnWriter();
  let allGone: (() => void) | undefined;

  function accept(socket: Socket): void {
    if (!mayConnect(socket)) {
      socket.destroy();
      return;
    }
    const port = new SocketPort(socket, services, writer);
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const connection = new Connection(services, port, {
      principal: ANONYMOUS,
      endpoint: endpointFor(socket, config),
      logger: ctx.logger.child({ peer }),
    });
    open.set(connection, socket);
    socket.once('close', () => {
      open.delete(connection);
      if (open.size === 0) allGone?.();
    });
    port.attach(connection);
  }

  function mayConnect(socket: Socket): boolean {
    const refused =
      open.size >= config.maxConnections
        ? 'limit'
        : ctx.authorizer.authorize(ANONYMOUS, 'connect', { type: 'cluster' })
          ? undefined
          : 'refused';
    if (refused === undefined) return true;
    services.metrics.disconnects[refused].value++;
    ctx.logger.warn({ peer: socket.remoteAddress, reason: refused }, 'refused a Kafka connection');
    return false;
  }

  let sweep: Timer | undefined;
  function sweepLater(): void {
    sweep = ctx.clock.timer(SWEEP_MS, () => {
      const now = ctx.clock.monotonic();
      for (const connection of open.keys()) connection.expire(now);
      sweepLater();
    });
  }

  const listener = await TcpListener.bind({
    ...{ protocol: 'kafka', host: config.host, port: config.port, setting: `brokers.${ctx.instance}` },
    connection: accept,
  });
  sweepLater();
  const close = async (): Promise<void> => {
    sweep?.cancel();
    listener.stop();
    for (const [connection, socket] of open) {
      connection.close('shutdown');
      socket.destroy();
    }
  };
  ctx.signal.addEventListener('abort', () => void close(), { once: true });

  return {
    listeners: () => [listener],
    async drain() {
      listener.stop();
      for (const connection of open.keys()) connection.drain();
      if (open.size === 0) return;
      await new Promise<void>((resolve) => {
        allGone = resolve;
      });
    },
    close,
  };
}

/** Where the client of this socket is told to connect: as advertised, or where it has connected to. */
function endpointFor(socket: Socket, { host, advertised }: KafkaSettings): Endpoint {
  if (advertised !== undefined) {
    const colon = advertised.lastIndexOf(':');
    return { host: advertised.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(advertised.slice(colon + 1)) };
  }
  const local = socket.localAddress ?? host;
  return { host: WILDCARDS.has(host) ? local.replace(/^::ffff:/, '') : host, port: socket.localPort ?? 0 };
}
