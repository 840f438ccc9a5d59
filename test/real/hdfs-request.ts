import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';

const PATIENT_MS = 20_000;

/** Of a NameNode: where WebHDFS answers. */
export interface At {
  readonly httpAddress: string;
}

export interface Reply {
  /** The status, and the exception's name where there is one. */
  readonly said: string;
  readonly location: string | undefined;
  readonly body: Buffer;
}

/** Not by fetch, which a DataNode's unasked `100 Continue` makes fail. */
export async function ask(
  method: string,
  url: string,
  body: string | Uint8Array = '',
  patientMs = PATIENT_MS,
): Promise<Reply> {
  const out = request(url, { method, agent: false, signal: AbortSignal.timeout(patientMs) });
  try {
    out.end(body);
    // once gives a tuple of unknown types; a response is all that comes first
    const [reply] = (await once(out, 'response')) as [IncomingMessage];
    const content = await buffer(reply);
    const exception = /"exception":"(\w+)"/.exec(content.toString('latin1'))?.[1];
    const said = [String(reply.statusCode), ...((reply.statusCode ?? 0) >= 400 && exception ? [exception] : [])].join(
      ' ',
    );
    return { said, location: reply.headers.location, body: content };
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw new Error('silent');
    throw error;
  }
}

/** What the NameNode itself answers, without a body. */
export function at(nameNode: At, method: string, pathAndQuery: string, patientMs?: number): Promise<Reply> {
  return ask(method, `${nameNode.httpAddress}/webhdfs/v1${pathAndQuery}`, '', patientMs);
}

/** By the NameNode alone: a DataNode, which makes files for WebHDFS, may ask one that stands still, and be heard when it wakes up. */
export async function makeDirectory(nameNode: At, path: string, user: string): Promise<string> {
  const { said } = await at(nameNode, 'PUT', `${path}?op=MKDIRS&user.name=${user}`);
  return said;
}

/** @returns `created`, or what was said instead */
export async function put(
  nameNode: At,
  path: string,
  body: string | Uint8Array,
  { overwrite = false, user }: { readonly overwrite?: boolean; readonly user?: string } = {},
): Promise<string> {
  const as = user === undefined ? '' : `&user.name=${user}`;
  const asked = await at(nameNode, 'PUT', `${path}?op=CREATE&overwrite=${overwrite}${as}`);
  if (asked.location === undefined) return asked.said;
  const { said } = await ask('PUT', asked.location, body);
  return said === '201' ? 'created' : said;
}

export async function get(nameNode: At, path: string, range = '', patientMs?: number): Promise<string> {
  return (await bytesOf(nameNode, path, range, patientMs)).toString();
}

export async function bytesOf(nameNode: At, path: string, range = '', patientMs?: number): Promise<Buffer> {
  const asked = await at(nameNode, 'GET', `${path}?op=OPEN${range}`, patientMs);
  if (asked.location === undefined) throw new Error(asked.said);
  const { said, body } = await ask('GET', asked.location, '', patientMs);
  if (said !== '200') throw new Error(said);
  return body;
}

/** All that is not a directory, and directories that are empty: by its name below the directory, these with a slash at their end. */
export async function namesBelow(nameNode: At, directory: string, above = ''): Promise<string[]> {
  const { body } = await at(nameNode, 'GET', `${directory}?op=LISTSTATUS`);
  // as WebHDFS documents it
  const { FileStatuses } = JSON.parse(body.toString()) as {
    FileStatuses?: { FileStatus: readonly { readonly pathSuffix: string; readonly type: string }[] };
  };
  const names: string[] = [];
  for (const { pathSuffix, type } of FileStatuses?.FileStatus ?? []) {
    if (type !== 'DIRECTORY') names.push(`${above}${pathSuffix}`);
    else {
      const inside = await namesBelow(nameNode, `${directory}/${pathSuffix}`, `${above}${pathSuffix}/`);
      names.push(...(inside.length === 0 ? [`${above}${pathSuffix}/`] : inside));
    }
  }
  return names;
}
