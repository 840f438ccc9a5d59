/** One buffer of a body, without a copy where it is one already. */
export function wholeOf(body: readonly Uint8Array[]): Buffer {
  const [first = new Uint8Array(0)] = body;
  return body.length <= 1 ? Buffer.from(first.buffer, first.byteOffset, first.byteLength) : Buffer.concat(body);
}
