import { StoreError } from '@robustmq/engine-objects';

/** `bytes 5-9/100` */
const CONTENT_RANGE = /^bytes (\d+)-(\d+)\/(\d+)$/;

export interface RangeAnswer {
  readonly status: number | undefined;
  readonly contentRange: string | undefined;
}

/** A store, or something in between, may answer a range with other bytes: then nothing of the answer can be used. @throws wrong-range, truncated */
export function checkRange(
  answer: RangeAnswer,
  asked: { readonly at: number; readonly bytes: number },
  key: string,
): number {
  const parsed = CONTENT_RANGE.exec(answer.contentRange ?? '');
  if (parsed === null || answer.status !== 206)
    throw wrongRange(`status ${answer.status}, Content-Range ${answer.contentRange ?? 'none'}`, key);
  const [from, to, size] = [Number(parsed[1]), Number(parsed[2]), Number(parsed[3])];
  if (from !== asked.at) throw wrongRange(`bytes from ${from}, not ${asked.at}`, key);
  const bytes = to - from + 1;
  if (bytes < asked.bytes)
    throw truncated(`the object ends at ${size}, asked for ${asked.at} to ${asked.at + asked.bytes}`, key);
  if (bytes > asked.bytes) throw wrongRange(`${bytes} bytes, not ${asked.bytes}`, key);
  return size;
}

/** Of a suffix range. @returns the size of the object */
export function checkTail(answer: RangeAnswer, length: number, key: string): number {
  const parsed = CONTENT_RANGE.exec(answer.contentRange ?? '');
  // the whole object, where it is shorter than the tail
  if (parsed === null && answer.status === 200) return length;
  if (parsed === null) throw wrongRange(`status ${answer.status}, Content-Range ${answer.contentRange ?? 'none'}`, key);
  const [from, to, size] = [Number(parsed[1]), Number(parsed[2]), Number(parsed[3])];
  if (to !== size - 1) throw wrongRange(`a tail that ends at ${to} of ${size}`, key);
  if (to - from + 1 !== length) throw truncated(`${length} bytes of ${to - from + 1}`, key);
  return size;
}

/** Reads a body of at most `most` bytes; what comes on top is not what was asked for. */
export async function readBody(
  body: AsyncIterable<Uint8Array>,
  expected: number | undefined,
  most: number,
  key: string,
): Promise<Uint8Array> {
  // of the size that is expected, so that a long body is copied once only
  let into = Buffer.allocUnsafeSlow(Math.min(expected ?? 64 * 1024, most));
  let bytes = 0;
  for await (const chunk of body) {
    if (bytes + chunk.length > most) throw wrongRange(`more than ${most} bytes`, key);
    if (bytes + chunk.length > into.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(most, Math.max(2 * into.length, bytes + chunk.length)));
      larger.set(into.subarray(0, bytes));
      into = larger;
    }
    into.set(chunk, bytes);
    bytes += chunk.length;
  }
  if (expected !== undefined && bytes < expected)
    throw truncated(`the body ended after ${bytes} of ${expected} bytes`, key);
  return into.subarray(0, bytes);
}

function wrongRange(what: string, key: string): StoreError {
  return new StoreError('wrong-range', `GET ${key} was answered with ${what}`, { mayBeApplied: false });
}

function truncated(what: string, key: string): StoreError {
  return new StoreError('truncated', `GET ${key}: ${what}`, { mayBeApplied: false });
}
