import type { IncomingMessage } from 'node:http';

export type S3Kind =
  | 'PUT'
  | 'PART'
  | 'GET'
  | 'HEAD'
  | 'LIST'
  | 'DELETE'
  | 'DELETE-MANY'
  | 'MULTIPART-BEGIN'
  | 'MULTIPART-END'
  | 'MULTIPART-ABORT'
  | 'BUCKET';

export interface S3Request {
  readonly kind: S3Kind;
  readonly bucket: string;
  /** Of a LIST the prefix that was asked for; empty where a request is of a bucket. */
  readonly key: string;
  /** Of the body, as the request says. */
  readonly bytes: number;
}

/** What a request is, from its first lines alone. Addresses with the bucket in the path only: that is how tests reach a server. */
export function s3Request({ method = 'GET', url = '/', headers }: IncomingMessage): S3Request {
  const { pathname, searchParams } = new URL(url, 'http://s3.invalid');
  const [, bucket = '', path = ''] = /^\/([^/]*)\/?(.*)$/.exec(pathname) ?? [];
  const kind = kindOf(method, path !== '', searchParams);
  const key = kind === 'LIST' ? (searchParams.get('prefix') ?? '') : decodeURIComponent(path);
  return { kind, bucket, key, bytes: Number(headers['content-length'] ?? 0) };
}

function kindOf(method: string, ofObject: boolean, query: URLSearchParams): S3Kind {
  if (!ofObject) {
    if (method === 'GET' && !query.has('location')) return 'LIST';
    return method === 'POST' && query.has('delete') ? 'DELETE-MANY' : 'BUCKET';
  }
  const ofUpload = query.has('uploadId');
  if (method === 'PUT') return ofUpload ? 'PART' : 'PUT';
  if (method === 'POST') return ofUpload ? 'MULTIPART-END' : 'MULTIPART-BEGIN';
  if (method === 'DELETE') return ofUpload ? 'MULTIPART-ABORT' : 'DELETE';
  return method === 'HEAD' ? 'HEAD' : 'GET';
}
