import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@robustmq/core';
import mqttPacket from 'mqtt-packet';
import type { History } from './history.ts';
import type { Load } from './load.ts';
import { encodePayload } from './payload.ts';

const IN_FLIGHT = 10;

export interface MqttTarget {
  readonly topic: string;
  readonly port: () => number;
  readonly random: Random;
  /** Where its messages lie, when that is one shard. */
  readonly shard?: string;
  /** Waited after each acknowledgement before something new is sent, on average; without it now and then, and shortly. */
  readonly pauseMs?: () => number;
}
const PACKET_IDS = 65_535;

/**
 * A QoS 1 publisher with up to ten messages in flight: after a lost connection all that is not acknowledged is sent again, in order,
 * with DUP set, as [MQTT-4.4.0-1] asks of a client.
 */
export class MqttLoad implements Load {
  readonly name: string;
  readonly errors = new Map<string, number>();
  resent = 0;
  readonly #history: History;
  readonly #to: MqttTarget;
  /** Sequences, oldest first. */
  readonly #inFlight: number[] = [];
  #sent = 0;
  #stopping = false;

  constructor(history: History, name: string, to: MqttTarget) {
    this.name = name;
    this.#history = history;
    this.#to = to;
    history.writer(name, 'oncePerSend');
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(this.#stopping && this.#inFlight.length === 0)) {
      const socket = connect({ port: this.#to.port(), host: '127.0.0.1', noDelay: true });
      const closed = once(socket, 'close').catch(() => undefined);
      socket.on('error', () => {}); // 'close' follows
      const abort = () => socket.destroy();
      signal.addEventListener('abort', abort);
      this.#speak(socket);
      await closed;
      signal.removeEventListener('abort', abort);
      await sleep(20);
    }
  }

  #speak(socket: Socket): void {
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    const send = (packet: mqttPacket.Packet) => socket.write(mqttPacket.generate(packet));
    socket.on('connect', () => send({ cmd: 'connect', clientId: this.name, protocolVersion: 4, clean: true }));
    socket.on('data', (bytes) => parser.parse(bytes));
    parser.on('error', (error: Error) => this.#fail(socket, error.message));
    parser.on('packet', (packet: mqttPacket.Packet) => {
      if (packet.cmd === 'connack') {
        if (packet.returnCode !== 0) return this.#fail(socket, `connect refused: ${packet.returnCode}`);
        for (const sequence of this.#inFlight) {
          this.#history.sentAgain(this.name, sequence);
          send(this.#publish(sequence, true));
        }
        this.resent += this.#inFlight.length;
      } else if (packet.cmd === 'puback') {
        const sequence = this.#inFlight[0];
        // [MQTT-4.6.0-2]: acknowledgements come in the order of the messages
        if (sequence === undefined || packetId(sequence) !== packet.messageId)
          return this.#fail(socket, 'an acknowledgement out of order');
        this.#inFlight.shift();
        this.#history.acknowledged(this.name, sequence);
      }
      const pauseMs = this.#pauseMs();
      if (pauseMs > 0) setTimeout(() => this.#fill(socket, send), pauseMs);
      else this.#fill(socket, send);
    });
  }

  #pauseMs(): number {
    const { random, pauseMs } = this.#to;
    if (pauseMs !== undefined) return pauseMs() * 2 * random.next();
    return random.next() < 0.2 ? random.next() * 8 : 0;
  }

  #fill(socket: Socket, send: (packet: mqttPacket.Packet) => unknown): void {
    if (socket.destroyed) return;
    while (!this.#stopping && this.#inFlight.length < IN_FLIGHT) {
      const sequence = this.#sent++;
      this.#history.sent(this.name, sequence, this.#to.shard);
      this.#inFlight.push(sequence);
      send(this.#publish(sequence, false));
    }
    if (this.#stopping && this.#inFlight.length === 0) socket.end();
  }

  #publish(sequence: number, dup: boolean): mqttPacket.IPublishPacket {
    const payload = encodePayload(this.name, sequence);
    return {
      cmd: 'publish',
      topic: this.#to.topic,
      payload,
      qos: 1,
      dup,
      retain: false,
      messageId: packetId(sequence),
    };
  }

  #fail(socket: Socket, what: string): void {
    this.errors.set(what, (this.errors.get(what) ?? 0) + 1);
    socket.destroy();
  }
}

function packetId(sequence: number): number {
  return 1 + (sequence % PACKET_IDS);
}
