import { topicFilterProblem, topicNameProblem, utf8Text } from '@robustmq/broker-common';
import { malformed } from '../errors.ts';

/** Reads the fields of one packet's body; whatever is not there, or not as the spec has it, is a malformed packet. */
export class ByteReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get left(): number {
    return this.end - this.at;
  }

  u8(): number {
    this.#need(1);
    return this.bytes[this.at++] ?? 0;
  }

  u16(): number {
    this.#need(2);
    const value = ((this.bytes[this.at] ?? 0) << 8) | (this.bytes[this.at + 1] ?? 0);
    this.at += 2;
    return value;
  }

  u32(): number {
    return this.u16() * 65_536 + this.u16();
  }

  /** Variable byte integer: 7 bits a byte, lowest first, at most 4 bytes, the shortest form only [MQTT-1.5.5-1]. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw malformed('a variable byte integer longer than need be [MQTT-1.5.5-1]');
        return value;
      }
    }
    throw malformed('a variable byte integer of more than 4 bytes');
  }

  /** A length of two bytes and as many bytes; a view. */
  binary(): Uint8Array {
    const length = this.u16();
    this.#need(length);
    const bytes = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }

  /** UTF-8 behind a length of two bytes [MQTT-1.5.4-1], without U+0000 [MQTT-1.5.4-2]. */
  string(): string {
    const length = this.u16();
    this.#need(length);
    const text = utf8Text(this.bytes, this.at, this.at + length);
    if (text === undefined) throw malformed('a string that is not UTF-8 [MQTT-1.5.4-1]');
    if (text.includes('\0')) throw malformed('a string with U+0000 [MQTT-1.5.4-2]');
    this.at += length;
    return text;
  }

  /** A string that names something: control characters and non-characters, which the spec lets a server refuse, are refused. */
  name(): string {
    const text = this.string();
    if (UNFIT.test(text)) throw malformed('a name with a control character or non-character (section 1.5.4)');
    return text;
  }

  /** A topic name, not empty. */
  topicName(): string {
    const name = this.name();
    const problem = topicNameProblem(name);
    if (problem !== undefined) throw malformed(`a topic name that ${problem} [MQTT-3.3.2-2]`);
    return name;
  }

  topicFilter(): string {
    const filter = this.name();
    const problem = topicFilterProblem(filter);
    if (problem !== undefined) throw malformed(`a topic filter that ${problem} (section 4.7)`);
    return filter;
  }

  /** The same bytes up to `end`: fields that reach beyond it are malformed. */
  within(end: number): ByteReader {
    return new ByteReader(this.bytes, this.at, end);
  }

  rest(): Uint8Array {
    const bytes = this.bytes.subarray(this.at, this.end);
    this.at = this.end;
    return bytes;
  }

  /** Nothing may be left. */
  done(): void {
    if (this.at !== this.end) throw malformed(`${this.left} bytes behind the end of the packet`);
  }

  #need(bytes: number): void {
    if (this.end - this.at < bytes) throw malformed(`the packet ends ${bytes - this.left} bytes early`);
  }
}

const UNFIT = /[\p{Cc}\p{Noncharacter_Code_Point}]/u;
