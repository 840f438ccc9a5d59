import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { SocketPort } from '../../src/net/socket-port.ts';
import { TurnWriter } from '../../src/net/turn-writer.ts';
import { CoreClient, settled } from '../support/core-client.ts';

/** Counts what would be system calls. */
class CountingSocket extends Duplex {
  readonly calls: number[] = [];

  override _read(): void {}

  override _write(_: Buffer, __: BufferEncoding, done: () => void): void {
    this.calls.push(1);
    done();
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.calls.push(chunks.length);
    done();
  }
}

it('a socket is written to once in a turn of the event loop, whatever is answered in it', async () => {
  const { services } = new CoreClient();
  const socket = new CountingSocket();
  // the port uses what a socket has from being a stream
  const port = new SocketPort(socket as unknown as Socket, services, new TurnWriter());
  for (let i = 0; i < 10; i++) port.write([Buffer.from('head'), Buffer.from('tail')], 0);
  await Promise.resolve();
  port.write([Buffer.from('late in the same turn')], 0);
  expect(socket.calls).toEqual([]);
  await settled();
  expect(socket.calls).toEqual([21]);
  port.write([Buffer.from('next turn')], 0);
  await settled();
  expect(socket.calls).toEqual([21, 1]);
});

it('record bytes are held until they have left, or the socket is gone', async () => {
  const { services } = new CoreClient();
  const socket = new CountingSocket();
  const port = new SocketPort(socket as unknown as Socket, services, new TurnWriter());
  services.output.hold(70);
  port.write([Buffer.alloc(70)], 70);
  await settled();
  expect(services.output.held).toBe(0);
});
