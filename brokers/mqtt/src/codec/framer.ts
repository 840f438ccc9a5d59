import { MqttError, malformed, protocolError } from '../errors.ts';
import { REASON } from './reason-codes.ts';

/**
 * Cuts a stream of bytes into packets.
 *
 *     type and flags u8 | remaining length varint, at most 4 bytes | body
 *
 * A packet that lies whole in one chunk is a view of it. One that is split is gathered in a buffer that doubles as bytes really come, so that
 * the work is linear however the input is cut, and a length that is only claimed costs nothing. A claim above the limit is
 * refused before a byte of the body is kept.
 */
export class Framer {
  readonly #maxPacketBytes: number;
  #chunk: Uint8Array = NOTHING;
  #at = 0;
  /** First byte of the packet that is being read; -1: none yet. */
  #first = -1;
  #length = 0;
  #lengthShift = 0;
  #headerDone = false;
  /** The part of the body that earlier chunks brought. */
  #body: Uint8Array | undefined;
  #bodyBytes = 0;

  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /** The first byte of the packet that {@link next} gave. */
  firstByte = 0;

  /** True until a CONNECT was accepted: other protocols are known by their first byte. */
  onlyConnect = true;

  /** The chunk before must be used up: {@link next} has said `undefined`. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Bytes kept of a packet that is not complete. */
  get pending(): number {
    return this.#bodyBytes;
  }

  /** Of the whole body of that packet; 0 when there is none. */
  get expected(): number {
    return this.#headerDone ? this.#length : 0;
  }

  /** Of the buffer they are kept in. */
  get capacity(): number {
    return this.#body?.length ?? 0;
  }

  /** The body of the next packet, or `undefined` when the rest of it has not come yet. @throws MqttError: the stream can't be read any further. */
  next(): Uint8Array | undefined {
    if (!this.#headerDone && !this.#header()) return undefined;
    const missing = this.#length - this.#bodyBytes;
    const here = this.#chunk.length - this.#at;
    if (this.#body === undefined && here >= missing) {
      const body = this.#chunk.subarray(this.#at, this.#at + missing);
      this.#at += missing;
      return this.#whole(body);
    }
    this.#gather(Math.min(missing, here));
    if (this.#bodyBytes < this.#length || this.#body === undefined) return undefined;
    return this.#whole(this.#body.subarray(0, this.#length));
  }

  /** Reads type and length, as far as they have come. */
  #header(): boolean {
    while (this.#at < this.#chunk.length) {
      const byte = this.#chunk[this.#at++] ?? 0;
      if (this.#first < 0) {
        if (this.onlyConnect && byte >> 4 !== 1) throw protocolError('the first packet is no CONNECT [MQTT-3.1.0-1]');
        if (byte < 0x10) throw protocolError('packet type 0 is reserved (section 2.1.2)');
        this.#first = byte;
        this.#length = 0;
        this.#lengthShift = 0;
        continue;
      }
      this.#length |= (byte & 0x7f) << this.#lengthShift;
      this.#lengthShift += 7;
      if (byte >= 0x80) {
        if (this.#lengthShift === 28) throw malformed('a remaining length of more than 4 bytes (section 2.1.4)');
        continue;
      }
      if (byte === 0 && this.#lengthShift > 7) throw malformed('a remaining length longer than need be [MQTT-1.5.5-1]');
      const bytes = 1 + this.#lengthShift / 7 + this.#length;
      if (bytes > this.#maxPacketBytes)
        throw new MqttError(
          'MQTT_PROTOCOL',
          REASON.packetTooLarge,
          `a packet of ${bytes} bytes, the limit is ${this.#maxPacketBytes}`,
        );
      this.#headerDone = true;
      return true;
    }
    this.#chunk = NOTHING;
    this.#at = 0;
    return false;
  }

  #gather(bytes: number): void {
    const needed = this.#bodyBytes + bytes;
    if (this.#body === undefined || this.#body.length < needed) {
      const size = Math.min(this.#length, Math.max(needed, 2 * (this.#body?.length ?? 512)));
      const larger = new Uint8Array(size);
      if (this.#body !== undefined) larger.set(this.#body.subarray(0, this.#bodyBytes));
      this.#body = larger;
    }
    this.#body.set(this.#chunk.subarray(this.#at, this.#at + bytes), this.#bodyBytes);
    this.#bodyBytes = needed;
    this.#at += bytes;
    if (this.#at < this.#chunk.length) return;
    this.#chunk = NOTHING; // the socket's buffer is not kept for a few bytes
    this.#at = 0;
  }

  #whole(body: Uint8Array): Uint8Array {
    this.firstByte = this.#first;
    this.#first = -1;
    this.#headerDone = false;
    this.#body = undefined;
    this.#bodyBytes = 0;
    return body;
  }
}

const NOTHING = new Uint8Array(0);
