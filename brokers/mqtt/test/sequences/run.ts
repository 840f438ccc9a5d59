import { connectBytes, publishBytes, Wire } from '../wire.ts';
import { bytesOf } from './notation.ts';

export interface Sequence {
  readonly id: string;
  readonly version: number;
  readonly connect: boolean;
  readonly expectDisconnect: boolean;
  readonly steps: readonly Step[];
}

export type Step =
  | { readonly type: 'send' | 'recv'; readonly payload: string }
  | { readonly type: 'external_publish'; readonly topic: string; readonly qos: number; readonly payload: string };

/** Plays one sequence. @returns what went otherwise than it should, if anything. */
export async function play(sequence: Sequence, port: number): Promise<string | undefined> {
  const wire = new Wire(port);
  try {
    if (sequence.connect) {
      wire.send(connectBytes(sequence.version, sequence.id));
      const connack = await wire.next();
      if (!(connack instanceof Buffer) || connack[0] !== 0x20 || connack[3] !== 0) return `CONNACK: ${show(connack)}`;
    }
    for (let at = 0; at < sequence.steps.length; ) {
      const step = sequence.steps[at];
      if (step?.type === 'send') wire.send(bytesOf(step.payload));
      if (step?.type === 'external_publish') await publish(step, port);
      if (step?.type !== 'recv') {
        at++;
        continue;
      }
      const expected: Buffer[] = [];
      for (; sequence.steps[at]?.type === 'recv'; at++) expected.push(bytesOf(sequence.steps[at]?.payload ?? ''));
      const problem = await receive(wire, expected);
      if (problem !== undefined) return problem;
    }
    if (sequence.expectDisconnect) return (await wire.closes()) ? undefined : 'the connection is still open';
    wire.send(Buffer.of(0xc0, 0));
    const answer = await wire.next();
    return show(answer) === 'd000' ? undefined : `PINGRESP: ${show(answer)}`;
  } finally {
    wire.destroy();
  }
}

/**
 * Packets in a row, byte for byte, with one freedom: the spec orders PUBACKs among themselves and PUBLISHes among themselves, not one among the other.
 * A PUBACK waits for the storage here, and a message for the reader behind it, so either may be first.
 */
async function receive(wire: Wire, expected: readonly Buffer[]): Promise<string | undefined> {
  const open = [...expected];
  while (open.length > 0) {
    const packet = await wire.next();
    const got = packet instanceof Buffer ? withoutFloor(packet) : packet;
    const at = open.findIndex((each) => show(each) === show(got));
    const passed = open.slice(0, Math.max(0, at));
    if (at < 0 || passed.some((each) => kind(each) === kind(open[at]) || !swappable(each) || !swappable(open[at])))
      return `expected ${show(open[0])}, got ${show(got)}`;
    open.splice(at, 1);
  }
  return undefined;
}

function kind(packet: Buffer | undefined): number {
  return (packet?.[0] ?? 0) >> 4;
}

function swappable(packet: Buffer | undefined): boolean {
  return kind(packet) === 3 || kind(packet) === 4;
}

/** Maximum QoS 1, retain available 0, shared subscription available 0: what this floor has to say at the end of its CONNACK. */
const FLOOR = Buffer.from('240125002a00', 'hex');

function withoutFloor(packet: Buffer): Buffer {
  if (packet[0] !== 0x20 || packet[3] !== 0 || !packet.subarray(-FLOOR.length).equals(FLOOR)) return packet;
  const shorter = Buffer.from(packet.subarray(0, -FLOOR.length));
  shorter[1] = (shorter[1] ?? 0) - FLOOR.length;
  shorter[4] = (shorter[4] ?? 0) - FLOOR.length;
  return shorter;
}

async function publish(step: Extract<Step, { type: 'external_publish' }>, port: number): Promise<void> {
  const helper = new Wire(port);
  helper.send(connectBytes(4, 'helper'));
  await helper.next();
  helper.send(publishBytes(4, step.topic, step.payload, step.qos === 0 ? 0 : 1));
  if (step.qos > 0) await helper.next();
  helper.send(Buffer.of(0xe0, 0));
  await helper.closes();
  helper.destroy();
}

function show(packet: Buffer | string | undefined): string {
  return packet instanceof Buffer ? packet.toString('hex') : `${packet}`;
}
