/** Big-endian fields read from plain bytes: on paths where a DataView for each batch would cost more than the read. */
export function int32At(bytes: Uint8Array, at: number): number {
  return (byte(bytes, at) << 24) | (byte(bytes, at + 1) << 16) | (byte(bytes, at + 2) << 8) | byte(bytes, at + 3);
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) >>> 0;
}

/** Rounded outside the safe integers, which no check lets through as an offset. */
export function int64At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) * 2 ** 32 + uint32At(bytes, at + 4);
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
