import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@robustmq/core';
import mqttPacket from 'mqtt-packet';
import type { History } from './history.ts';
import type { Load } from './load.ts';
import { encodePayload } from './payload.ts';

const IN_FLIGHT = 10;
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
  readonly #topic: string;
  readonly #port: () => number;
  readonly #random: Random;
  /** Sequences, oldest first. */
  readonly #inFlight: number[] = [];
  #sent = 0;
  #stopping = false;

  constructor(history: History, name: string, to: { topic: string; port: () => number; random: Random }) {
    this.name = name;
    this.#history = history;
    this.#topic = to.topic;
    this.#port = to.port;
    this.#random = to.random;
    history.writer(name, 'atLeastOnce');
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(this.#stopping && this.#inFlight.length === 0)) {
      const socket = connect({ port: this.#port(), host: '127.0.0.1', noDelay: true });
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
        for (const sequence of this.#inFlight) send(this.#publish(sequence, true));
        this.resent += this.#inFlight.length;
      } else if (packet.cmd === 'puback') {
        const sequence = this.#inFlight[0];
        // [MQTT-4.6.0-2]: acknowledgements come in the order of the messages
        if (sequence === undefined || packetId(sequence) !== packet.messageId)
          return this.#fail(socket, 'an acknowledgement out of order');
        this.#inFlight.shift();
        this.#history.acknowledged(this.name, sequence);
      }
      if (this.#stopping && this.#inFlight.length === 0) return socket.end();
      if (this.#random.next() < 0.2) setTimeout(() => this.#fill(socket, send), this.#random.next() * 8);
      else this.#fill(socket, send);
    });
  }

  #fill(socket: Socket, send: (packet: mqttPacket.Packet) => unknown): void {
    if (socket.destroyed) return;
    while (!this.#stopping && this.#inFlight.length < IN_FLIGHT) {
      const sequence = this.#sent++;
      this.#history.sent(this.name, sequence);
      this.#inFlight.push(sequence);
      send(this.#publish(sequence, false));
    }
  }

  #publish(sequence: number, dup: boolean): mqttPacket.IPublishPacket {
    const payload = encodePayload(this.name, sequence);
    return { cmd: 'publish', topic: this.#topic, payload, qos: 1, dup, retain: false, messageId: packetId(sequence) };
  }

  #fail(socket: Socket, what: string): void {
    this.errors.set(what, (this.errors.get(what) ?? 0) + 1);
    socket.destroy();
  }
}

function packetId(sequence: number): number {
  return 1 + (sequence % PACKET_IDS);
}
