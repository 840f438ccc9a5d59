import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FileHandle, type FileSystem, nodeFileSystem } from '@robustmq/core';

/** A service that changes files, for an engine that has its data at the other end of a connection. */
export async function fileServer(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer(async (incoming, reply) => {
    try {
      const pieces: Buffer[] = [];
      for await (const piece of incoming) pieces.push(piece);
      const { name, path, to, flags, bytes, position }: Call = JSON.parse(Buffer.concat(pieces).toString());
      if (name === 'rename') await nodeFileSystem.rename(path, to ?? '');
      else if (name === 'unlink' || name === 'mkdir') await nodeFileSystem[name](path);
      // no power is cut here: what would take long changes nothing
      else if (name !== 'syncDirectory' && name !== 'datasync') {
        const file = await nodeFileSystem.open(path, flags ?? 'r+');
        try {
          if (name === 'write') await file.write(Buffer.from(bytes ?? '', 'base64'), position ?? 0);
          if (name === 'truncate') await file.truncate(position ?? 0);
        } finally {
          await file.close();
        }
      }
      reply.end('{}');
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      reply.end(JSON.stringify({ code, message }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Call {
  readonly name: keyof FileSystem | keyof FileHandle;
  readonly path: string;
  readonly to?: string;
  readonly flags?: 'r' | 'r+' | 'w+' | 'wx+';
  readonly bytes?: string;
  readonly position?: number;
}

/** Everything that changes files is a request, and opening one; reading what is open is not. */
export function remoteFiles(
  { host, port }: { readonly host: string; readonly port: number },
  agent: Agent = new Agent({ keepAlive: true }),
): FileSystem {
  const call = (body: Call): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request({ host, port, method: 'POST', agent }, (reply) => {
        let text = '';
        reply.on('data', (piece) => {
          text += piece;
        });
        reply.on('error', reject);
        reply.on('end', () => {
          const failure: { code?: string; message?: string } = JSON.parse(text);
          if (failure.message === undefined) resolve();
          else reject(Object.assign(new Error(failure.message), { code: failure.code }));
        });
      });
      sent.on('error', reject);
      sent.end(JSON.stringify(body));
    });
  return {
    ...nodeFileSystem,
    open: async (path, flags) => {
      await call({ name: 'open', path, flags });
      const near = await nodeFileSystem.open(path, 'r');
      return {
        read: (into, offset, length, position) => near.read(into, offset, length, position),
        size: () => near.size(),
        close: () => near.close(),
        write: (bytes, position) =>
          call({ name: 'write', path, bytes: Buffer.from(bytes).toString('base64'), position }),
        datasync: () => call({ name: 'datasync', path }),
        truncate: (position) => call({ name: 'truncate', path, position }),
      };
    },
    rename: (path, to) => call({ name: 'rename', path, to }),
    unlink: (path) => call({ name: 'unlink', path }),
    mkdir: (path) => call({ name: 'mkdir', path }),
    syncDirectory: (path) => call({ name: 'syncDirectory', path }),
  };
}
