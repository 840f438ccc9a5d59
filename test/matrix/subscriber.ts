import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import mqttPacket from 'mqtt-packet';
import { decodePayload, type Payload } from '../crash/payload.ts';

/** What came over one connection, in order; undefined: what no writer wrote. */
export type Delivery = (Payload | undefined)[];

/** A QoS 1 subscriber of one topic that comes back whenever its connection is lost. Sessions do not outlive a connection: each begins where the log ends then. */
export class Subscriber {
  /** One for each connection that was granted the subscription. */
  readonly deliveries: Delivery[] = [];
  readonly #name: string;
  readonly #topic: string;
  readonly #port: () => number;
  /** Of the first connection. */
  readonly subscribed: Promise<void>;
  #tellSubscribed: () => void = () => {};
  readonly #stop = new AbortController();

  constructor(name: string, topic: string, port: () => number) {
    this.#name = name;
    this.#topic = topic;
    this.#port = port;
    this.subscribed = new Promise((resolve) => {
      this.#tellSubscribed = resolve;
    });
  }

  get last(): Payload | undefined {
    return this.deliveries.at(-1)?.at(-1);
  }

  async run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const socket = connect({ port: this.#port(), host: '127.0.0.1', noDelay: true });
      const closed = once(socket, 'close').catch(() => undefined);
      socket.on('error', () => {}); // 'close' follows
      const abort = () => socket.destroy();
      this.#stop.signal.addEventListener('abort', abort);
      this.#speak(socket);
      await closed;
      this.#stop.signal.removeEventListener('abort', abort);
      await sleep(20);
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  #speak(socket: Socket): void {
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    const send = (packet: mqttPacket.Packet) => socket.write(mqttPacket.generate(packet));
    const delivery: Delivery = [];
    socket.on('connect', () => send({ cmd: 'connect', clientId: this.#name, protocolVersion: 4, clean: true }));
    socket.on('data', (bytes) => parser.parse(bytes));
    parser.on('error', () => socket.destroy());
    parser.on('packet', (packet: mqttPacket.Packet) => {
      if (packet.cmd === 'connack') {
        send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: this.#topic, qos: 1 }] });
      } else if (packet.cmd === 'suback') {
        if (packet.granted[0] !== 1) return void socket.destroy();
        this.deliveries.push(delivery);
        this.#tellSubscribed();
      } else if (packet.cmd === 'publish') {
        delivery.push(decodePayload(Buffer.from(packet.payload)));
        if (packet.messageId !== undefined) send({ cmd: 'puback', messageId: packet.messageId });
      }
    });
  }
}
