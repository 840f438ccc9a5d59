import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { settingsOf } from '@robustmq/conformance';
import hdfsEngine, { type HdfsSettings } from '@robustmq/engine-hdfs';
import { startHdfs } from '../test/real/hdfs-server.ts';
import { inPieces, type ObjectsTarget } from './objects-target.ts';

interface Listed {
  readonly FileStatuses: {
    readonly FileStatus: readonly { readonly pathSuffix: string; readonly type: string; readonly length: number }[];
  };
}

/** Plain requests are made with `node:http` alone, not with the engine's client. */
export async function hdfsTarget(): Promise<ObjectsTarget> {
  const server = await startHdfs();
  const { httpAddress } = server.nameNode;
  const config = { nameNodes: [httpAddress], user: 'root' };
  const settings = settingsOf(hdfsEngine, config) as unknown as HdfsSettings; // as the engine's schema says
  const at = (path: string, query: string): URL => new URL(`${httpAddress}/webhdfs/v1${path}?user.name=root&${query}`);
  return {
    title: 'HDFS (a NameNode and a DataNode) on the same machine',
    definition: hdfsEngine,
    config,
    upload: 'plain streamed CREATE',
    reads: `OPENs of ${settings.pieceBytes / 2 ** 20} MiB, ${settings.readAheadPieces} at once`,
    plainUpload: async (name, chunks) => {
      const location = await redirected('PUT', at(`/plain/${name}`, 'op=CREATE'));
      const put = request(location, { method: 'PUT', agent: false });
      const answered = once(put, 'response');
      let bytes = 0;
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (!put.write(chunk)) await once(put, 'drain');
      }
      put.end();
      const [answer] = (await answered) as [IncomingMessage];
      if (answer.statusCode !== 201) throw new Error(`CREATE: ${answer.statusCode}`);
      answer.resume();
      return bytes;
    },
    plainReads: async () => {
      const largest = await largestFile(at, settings.path);
      return await inPieces(largest.length, settings, async (from, some) => {
        const location = await redirected('GET', at(largest.path, `op=OPEN&offset=${from}&length=${some}`));
        const get = request(location, { agent: false }).end();
        const [answer] = (await once(get, 'response')) as [IncomingMessage];
        let bytes = 0;
        for await (const chunk of answer as AsyncIterable<Buffer>) bytes += chunk.length;
        if (bytes !== some) throw new Error(`OPEN: ${bytes} of ${some} bytes`);
      });
    },
    stop: () => server.stop(),
  };
}

async function redirected(method: string, url: URL): Promise<string> {
  const asked = request(url, { method }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  if (answer.headers.location === undefined) throw new Error(`${url}: ${answer.statusCode}`);
  return answer.headers.location;
}

async function largestFile(
  at: (path: string, query: string) => URL,
  path: string,
): Promise<{ readonly path: string; readonly length: number }> {
  const answer = await fetch(at(path, 'op=LISTSTATUS'));
  const { FileStatuses } = (await answer.json()) as Listed; // as WebHDFS documents it
  let largest = { path, length: 0 };
  for (const { pathSuffix, type, length } of FileStatuses.FileStatus) {
    const found = `${path}/${pathSuffix}`;
    const other = type === 'FILE' ? { path: found, length } : await largestFile(at, found);
    if (other.length > largest.length) largest = other;
  }
  return largest;
}
