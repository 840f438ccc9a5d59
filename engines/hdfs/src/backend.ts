import { readFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { createSecureContext, getCACertificates } from 'node:tls';
import { pathToFileURL } from 'node:url';
import { type Clock, StorageError } from '@robustmq/core';
import type { Hints, ObjectBackend } from '@robustmq/engine-objects';
import { checkSettings, type HdfsSettings } from './settings.ts';
import { HdfsStore } from './store.ts';
import { type Authorize, WebHdfs } from './webhdfs/client.ts';
import type { Tls } from './webhdfs/exchange.ts';
import { type DelegationToken, fixedToken, TokenFile } from './webhdfs/token.ts';

/** Nothing is sent yet. @throws STORE_MISCONFIGURED */
export async function backendOf(settings: HdfsSettings, clock: Clock): Promise<ObjectBackend> {
  const client = new WebHdfs({
    nameNodes: checkSettings(settings),
    path: settings.path,
    user: settings.user,
    token: await tokenOf(settings, clock),
    authorize: await authorizeOf(settings.authorize),
    tls: await tlsOf(settings),
    nameNodeTimeoutMs: settings.nameNodeTimeoutMs,
    requestTimeoutMs: settings.requestTimeoutMs,
    clock,
  });
  const { path, prefix, replication, fileBytes } = settings;
  return {
    store: new HdfsStore({ client, path, prefix, replication }),
    // a rename is carried out by one NameNode, under one lock
    creates: 'atomic',
    fileBytes,
    place: { noun: 'directory', settings: 'nameNodes, path and prefix' },
    hints: HINTS,
  };
}

export const HINTS: Hints = {
  'not-found': 'Somebody else has deleted the file: restore it from the trash, a snapshot or a copy',
  truncated: 'Somebody else has changed the file: restore it from a snapshot or a copy',
  unreachable:
    'Check nameNodes and the network; DataNodes are reached by the names that the NameNode gives, which have to be known and open here',
  timeout: 'HDFS is slow or gone: check its NameNodes and DataNodes, or raise nameNodeTimeoutMs and requestTimeoutMs',
  gone: 'The directory of this cluster was renamed or deleted: bring it back, by its name, out of the trash or a snapshot',
  'not-active': 'Name all NameNodes of the cluster in nameNodes, and see that one of them is active',
  'read-only':
    'The NameNode is in safe mode: it ends by itself after a start, else with `hdfs dfsadmin -safemode leave`',
  unclosed:
    'Its DataNodes were killed while it was written: HDFS gives none of it away until it has closed the file, one to three minutes after they are back. It is asked to, and tried again, by itself',
  server: "Look into the NameNode's and the DataNodes' own logs, and whether DataNodes run and have room",
  full: 'Free space on the DataNodes, or raise the quota of the directory',
  denied:
    'Let this user read and write the directory of the setting path: hdfs dfs -mkdir -p and hdfs dfs -chown, or another user',
  credentials:
    'Set user, delegationToken or delegationTokenFile, authorize or caFile to what the cluster asks for: the file of a token is read again by itself',
  expired:
    'Get a new delegation token, and write it into the file of delegationTokenFile, which is read again by itself; delegationToken is read at a start',
  refused: 'Check nameNodes and path: what answers there does not take requests of WebHDFS',
};

async function tokenOf(
  { delegationToken, delegationTokenFile }: HdfsSettings,
  clock: Clock,
): Promise<DelegationToken | undefined> {
  if (delegationTokenFile !== undefined) return await TokenFile.open(delegationTokenFile, clock);
  return delegationToken === undefined ? undefined : fixedToken(delegationToken);
}

export async function tlsOf({ caFile, certFile, keyFile }: HdfsSettings): Promise<Tls> {
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(file, 'utf8');
    } catch (cause) {
      throw new StorageError('STORE_MISCONFIGURED', `${file} can not be read`, { cause });
    }
  };
  if (caFile === undefined && certFile === undefined && keyFile === undefined) return {};
  const options = {
    ...(caFile === undefined ? {} : { ca: trustedBeside(await read(caFile)) }),
    ...(certFile === undefined ? {} : { cert: await read(certFile) }),
    ...(keyFile === undefined ? {} : { key: await read(keyFile) }),
  };
  try {
    return { secureContext: createSecureContext(options) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new StorageError('STORE_MISCONFIGURED', `caFile, certFile and keyFile can not be used: ${why}`, {
      hint: 'Each is a text file (PEM): certificates, or one key without a passphrase that belongs to certFile',
      cause,
    });
  }
}

/** What is given takes the place of what Node knows. */
export function trustedBeside(own: string): string[] {
  return [...getCACertificates(), own];
}

async function authorizeOf(module: string | undefined): Promise<Authorize | undefined> {
  if (module === undefined) return undefined;
  const isPath = isAbsolute(module) || /^\.{1,2}\//.test(module);
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(isPath ? pathToFileURL(resolve(module)).href : module)) as { readonly default?: unknown };
  } catch (cause) {
    throw new StorageError('STORE_MISCONFIGURED', `authorize: ${module} can not be loaded`, { cause });
  }
  if (typeof loaded.default !== 'function')
    throw new StorageError('STORE_MISCONFIGURED', `authorize: ${module} has no function as its default export`, {
      hint: 'It is called with {method, url} before each request, and gives headers',
    });
  return loaded.default as Authorize; // what it gives is the author's word
}
