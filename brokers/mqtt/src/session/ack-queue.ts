interface Owed {
  readonly packetId: number;
  /** Undefined until the publish has settled. */
  reason: number | undefined;
}

/** PUBACKs go out in the order in which their PUBLISHes came [MQTT-4.6.0-2], whatever the order in which shards settle. */
export class AckQueue {
  #owed: Owed[] = [];
  /** Token of the first entry. */
  #first = 1;
  #head = 0;

  /** PUBLISHes that have not been acknowledged. */
  get length(): number {
    return this.#owed.length - this.#head;
  }

  /** @returns the token to settle it by. */
  add(packetId: number): number {
    return this.#first + this.#owed.push({ packetId, reason: undefined }) - 1;
  }

  /** Calls `send` for each acknowledgement that is due now. */
  settle(token: number, reason: number, send: (packetId: number, reason: number) => void): void {
    const owed = this.#owed[token - this.#first];
    if (owed === undefined) return;
    owed.reason = reason;
    for (let next = this.#owed[this.#head]; next?.reason !== undefined; next = this.#owed[this.#head]) {
      this.#head++;
      send(next.packetId, next.reason);
    }
    if (this.#head < 64 || this.#head * 2 < this.#owed.length) return;
    this.#first += this.#head;
    this.#owed = this.#owed.slice(this.#head);
    this.#head = 0;
  }
}
