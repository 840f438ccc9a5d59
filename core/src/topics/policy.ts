import type { TopicOverrides, TopicSettings } from '../adapter.ts';

/** What the config says about topics. First matching rule wins, setting by setting over `defaults`. */
export interface TopicPolicy {
  readonly rules: readonly TopicRule[];
  /** The cluster default: every setting has a value. */
  readonly defaults: TopicSettings;
  /** May a topic come into being because a client used it? */
  readonly autoCreate: boolean;
}

export interface TopicRule {
  /** A glob over the topic name: `*` stands for any run of characters, `?` for one. */
  readonly match: string;
  readonly overrides: TopicOverrides;
}
