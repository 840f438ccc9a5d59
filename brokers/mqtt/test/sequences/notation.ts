/** The payload notation of the sequences, as their README has it, to bytes. */
export function bytesOf(payload: string): Buffer {
  const parts: Buffer[] = [];
  for (const token of payload.match(/'[^']*'|\S+/g) ?? []) parts.push(part(token));
  return Buffer.concat(parts);
}

function part(token: string): Buffer {
  if (token.startsWith("'")) return Buffer.from(token.slice(1, -1));
  const kind = token[0] ?? '';
  if (/^([0-9a-fA-F]{2})+$/.test(token)) return Buffer.from(token, 'hex');
  const value = Number(token.slice(1));
  if (kind === 'i') return Buffer.of(value);
  if (kind === 'L') return Buffer.of(value >>> 24, value >>> 16, value >>> 8, value);
  if ('Hkms'.includes(kind)) return Buffer.of(value >> 8, value);
  if (kind === 'v' || kind === 'r') return variable(value);
  throw new Error(`what is ${token}?`);
}

/** Beyond the legal maximum, too. */
function variable(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}
