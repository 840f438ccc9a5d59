/** 16 bytes on the wire, the usual dashed lower-case form in memory. All zeros stand for "none". */
export const ZERO_UUID = '00000000-0000-0000-0000-000000000000';

export function readUuid(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function writeUuid(bytes: Buffer, at: number, uuid: string): void {
  bytes.fill(0, at, at + 16);
  bytes.write(uuid.replaceAll('-', ''), at, 16, 'hex');
}
