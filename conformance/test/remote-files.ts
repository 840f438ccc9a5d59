import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type FileHandle, type FileSystem, nodeFileSystem } from '@robustmq/core';

/**
 * A service that changes files, for an engine that has its data at the other end of a connection.
 * @param fences whether it refuses what comes from a session when it has heard of a later one on the same directory
 */
export async function fileServer(fences = true): Promise<{ readonly port: number; close(): Promise<void> }> {
  const newest = new Map<string, number>();
  let last = Promise.resolve();
  const server = createServer(async (incoming, reply) => {
    try {
      const pieces: Buffer[] = [];
      for await (const piece of incoming) pieces.push(piece);
      const call: Call = JSON.parse(Buffer.concat(pieces).toString());
      // one after the other: none is in the middle when a later session begins
      const done = last.then(async () => {
        const { dir, session } = call;
        if (fences && session < (newest.get(dir) ?? 0))
          throw Object.assign(new Error('a later session has begun'), { code: 'ESTALE' });
        newest.set(dir, session);
        await carryOut(call);
      });
      last = done.catch(() => {});
      await done;
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

async function carryOut({ name, path, to, flags, bytes, position }: Call): Promise<void> {
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
}

interface Call {
  readonly dir: string;
  readonly session: number;
  readonly name: keyof FileSystem | keyof FileHandle;
  readonly path: string;
  readonly to?: string;
  readonly flags?: 'r' | 'r+' | 'w+' | 'wx+';
  readonly bytes?: string;
  readonly position?: number;
}

export interface RemoteFilesOptions {
  readonly host: string;
  readonly port: number;
  /** All paths lie in it. */
  readonly dir: string;
  /** A request that takes longer is given up, and a new session begun. */
  readonly timeoutMs?: number;
  readonly agent?: Agent;
}

/** Everything that changes files is a request, and opening one; reading what is open is not. */
export function remoteFiles({
  host,
  port,
  dir,
  timeoutMs = 0,
  agent = new Agent({ keepAlive: true }),
}: RemoteFilesOptions): FileSystem {
  let session = laterSession();
  const call = (body: Omit<Call, 'dir' | 'session'>): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request({ host, port, method: 'POST', agent, timeout: timeoutMs }, (reply) => {
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
      sent.on('timeout', () => {
        session = laterSession();
        sent.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
      });
      sent.on('error', reject);
      sent.end(JSON.stringify({ ...body, dir, session }));
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

let latest = 0;

/** Later than all before it, of other processes, too. */
function laterSession(): number {
  latest = Math.max(latest + 1, Date.now() * 1000);
  return latest;
}
