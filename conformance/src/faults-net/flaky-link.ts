/** A connection to a service that a test can spoil, one request at a time. {@link flakyProxy} is one. */
export interface FlakyLink {
  /** Requests seen so far. */
  readonly requests: number;
  /** Requests that are held back, or not answered since, and replies that are held back. */
  readonly held: number;
  /** Requests that were held back and have been answered since. */
  readonly arrived: number;
  /** The `nth` request from now (1 is the next) goes wrong; one fault at a time. @returns how many have gone wrong */
  fail(nth: number, fault: LinkFault): () => number;
  /** Nothing goes wrong any more, and what is held goes on. */
  heal(): void;
}

export interface LinkFault {
  /**
   * `refuse`: the connection ends before anything of the request has arrived. `cut`: it ends in the middle of the request.
   * `drop-reply`: the service has the request, and its reply is lost with the connection. `delay`: the reply comes late. `delay-request`: the request itself arrives
   * late, also when who has sent it has given it up meanwhile, or is gone.
   */
  readonly how: 'refuse' | 'cut' | 'drop-reply' | 'delay' | 'delay-request';
  /** Late by so much; until `heal` unless told. */
  readonly forMs?: number;
  /** Again at every so many requests after it. */
  readonly every?: number;
}
