import type { TopicSettings } from '../adapter.ts';
import type { BrokerDefinition } from '../broker.ts';
import type { EngineDefinition } from '../engine.ts';
import type { StorageTuning } from '../storage-options.ts';
import type { TopicPolicy } from '../topics/policy.ts';
import type { Draft } from './draft.ts';

/** A whole configuration, checked, with defaults filled in and plug-ins loaded. */
export interface Config {
  /** Absolute. */
  readonly data: string;
  readonly node: { readonly id: number; readonly drainTimeoutMs: number };
  readonly engines: readonly ConfiguredEngine[];
  /** Those that are enabled. */
  readonly brokers: readonly ConfiguredBroker[];
  readonly policy: TopicPolicy;
  readonly admin: { readonly host: string; readonly port: number };
  readonly log: { readonly level: LogLevel; readonly format: 'text' | 'json' };
  readonly memory: { readonly requestBytes: number };
  readonly storage: Partial<StorageTuning>;
  /** The file it was read from, if any. */
  readonly file: string | undefined;
  /** One line each, for the log. */
  readonly warnings: readonly string[];
  /** What the above was made of, and where each value came from. */
  readonly draft: Draft;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface ConfiguredEngine {
  /** The instance's name. */
  readonly name: string;
  readonly use: string;
  readonly definition: EngineDefinition;
  /** `first-party`, `package x`, or a file. */
  readonly source: string;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface ConfiguredBroker {
  readonly name: string;
  readonly use: string;
  readonly definition: BrokerDefinition;
  readonly source: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** The part of the draft that core's own schema describes, once it has been checked. */
export interface CoreValues {
  readonly data: string;
  readonly node: Config['node'];
  readonly engines: Readonly<Record<string, { readonly use: string } & Readonly<Record<string, unknown>>>>;
  readonly topics: readonly ({ readonly match: string } & Readonly<Record<string, unknown>>)[];
  readonly defaults: TopicSettings;
  readonly autoCreateTopics: boolean;
  readonly brokers: Readonly<
    Record<string, { readonly use?: string; readonly enabled: boolean } & Readonly<Record<string, unknown>>>
  >;
  readonly admin: Config['admin'];
  readonly log: Config['log'];
  readonly memory: Config['memory'];
  readonly storage: Config['storage'];
}
