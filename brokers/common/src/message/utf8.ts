const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }); // a BOM stays where it is [MQTT-1.5.4-3]

/** The text of `bytes[from, to)`, or `undefined` when that is not well-formed UTF-8. Short ASCII, the usual case, takes no decoder. */
export function utf8Text(bytes: Uint8Array, from = 0, to: number = bytes.length): string | undefined {
  for (let at = from; at < to; at++) if ((bytes[at] ?? 0) >= 0x80) return wellFormed(bytes.subarray(from, to));
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1');
}

function wellFormed(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
