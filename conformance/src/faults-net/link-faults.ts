import type { FlakyLink, LinkFault } from './flaky-link.ts';

/** Which request goes wrong, and how: of one proxy, or of several that count as one. */
export class LinkFaults implements Pick<FlakyLink, 'requests' | 'held' | 'arrived' | 'fail'> {
  #requests = 0;
  #held = 0;
  #arrived = 0;
  #armed: { left: number; readonly fault: LinkFault; hits: number } | undefined;

  get requests(): number {
    return this.#requests;
  }

  get held(): number {
    return this.#held;
  }

  get arrived(): number {
    return this.#arrived;
  }

  /** @returns to be called when it is held no more, with whether it was a request that has been answered; more often counts once */
  hold(): (hasArrived: boolean) => void {
    this.#held++;
    let isHeld = true;
    return (hasArrived) => {
      if (!isHeld) return;
      isHeld = false;
      this.#held--;
      if (hasArrived) this.#arrived++;
    };
  }

  fail(nth: number, fault: LinkFault): () => number {
    const armed = { left: nth, fault, hits: 0 };
    this.#armed = armed;
    return () => armed.hits;
  }

  disarm(): void {
    this.#armed = undefined;
  }

  /** One more request. @returns what is to go wrong with it */
  next(): LinkFault | undefined {
    this.#requests++;
    const armed = this.#armed;
    if (armed === undefined || --armed.left !== 0) return undefined;
    armed.hits++;
    if (armed.fault.every !== undefined && armed.fault.every > 0) armed.left = armed.fault.every;
    return armed.fault;
  }
}
