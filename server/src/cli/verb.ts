/** A verb of the command line. */
export interface Verb {
  /** `topic create` */
  readonly name: string;
  readonly summary: string;
  /** `TOPIC [VALUE]` */
  readonly operands?: string;
  readonly minOperands?: number;
  readonly maxOperands?: number;
  readonly flags: Readonly<Record<string, Flag>>;
  /** More lines for `--help`. */
  readonly notes?: readonly string[];
  run(call: Call): Promise<number>;
}

export interface Flag {
  readonly help: string;
  readonly short?: string;
  /** Named when the flag takes a value: `FILE`. */
  readonly value?: string;
  readonly repeatable?: boolean;
}

export interface Call {
  readonly operands: readonly string[];
  readonly flags: Flags;
  readonly io: Io;
}

/** What was given on the command line. */
export class Flags {
  readonly #given: ReadonlyMap<string, readonly string[]>;

  constructor(given: ReadonlyMap<string, readonly string[]>) {
    this.#given = given;
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** The last one wins. */
  get(name: string): string | undefined {
    return this.#given.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#given.get(name) ?? [];
  }
}

/** The world of a command, so that a test can run one without a process. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  out(text: string): void;
  error(text: string): void;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

/** What a command ends with. Listed in docs/operations.md. */
export const EXIT = {
  ok: 0,
  /** The operation was refused or failed. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** The configuration or a plug-in is wrong. */
  config: 3,
  /** No node answers at the admin address. */
  unreachable: 4,
  /** `status`: the node answers, and is not ready. */
  notReady: 5,
  /** A bug: an error nobody expected. */
  internal: 70,
  /** Told to stop before the start was done, or by a second signal. */
  interrupted: 130,
} as const;

export const JSON_FLAG: Flag = { help: 'Print JSON, for scripts' };

export const CONFIG_FLAGS: Readonly<Record<string, Flag>> = {
  config: { short: 'c', value: 'FILE', help: 'Configuration file (YAML); without one the defaults hold' },
  data: { value: 'DIR', help: 'Data directory (setting data)' },
  set: { value: 'PATH=VALUE', repeatable: true, help: 'Any setting, such as brokers.kafka.port=0; may be repeated' },
};

export const ADMIN_FLAG: Readonly<Record<string, Flag>> = {
  admin: { value: 'URL', help: 'Admin HTTP of the node (default http://127.0.0.1:9644, or ROBUST_ADMIN_URL)' },
};
