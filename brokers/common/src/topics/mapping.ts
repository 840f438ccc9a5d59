import { RobustError } from '@robustmq/core';
import {
  filterCovers,
  filterMatches,
  filtersMeet,
  hasWildcard,
  topicFilterProblem,
  topicNameProblem,
} from './names.ts';

/** One rule of the config: MQTT names that match go to one topic. First match wins. */
export interface MappingRule {
  /** A topic filter: `sensors/#`. */
  readonly match: string;
  readonly topic: string;
  /** Of the topic, if it is created by this rule. */
  readonly shards?: number;
  /** The MQTT name, with the record's key where `{key}` stands; `{key}` alone unless said otherwise. */
  readonly template?: string;
}

/** Where an MQTT name is written. */
export interface Destination {
  readonly topic: string;
  readonly key: string;
  /** For the topic's creation. */
  readonly shards: number | undefined;
}

/** What the mapping needs to know of a topic. */
export interface NamedTopic {
  readonly name: string;
  readonly internal: boolean;
}

/**
 * MQTT topic names, of which there is no end, onto topics, of which there are few, and back. In this order: the rules; a topic that
 * has exactly this name; the catch-all topic. Pure: it is told which topics exist.
 */
export class TopicMapping {
  readonly rules: readonly MappingRule[];
  readonly catchAll: string;
  readonly #templates: readonly Template[];

  /** @throws MAPPING_INVALID */
  constructor(rules: readonly MappingRule[], catchAll: string) {
    for (const [at, rule] of rules.entries()) checkRule(rule, at, catchAll);
    this.rules = rules;
    this.catchAll = catchAll;
    this.#templates = rules.map((rule) => parseTemplate(rule.template ?? '{key}'));
  }

  /** `exists` says whether there is a topic of this name that is not the system's own. */
  destination(name: string, exists: (topic: string) => boolean): Destination {
    for (const [at, rule] of this.rules.entries()) {
      const key = this.#keyIn(at, name);
      if (key !== undefined) return { topic: rule.topic, key, shards: rule.shards };
    }
    if (name !== this.catchAll && isTopicName(name) && exists(name))
      return { topic: name, key: name, shards: undefined };
    return { topic: this.catchAll, key: name, shards: undefined };
  }

  /** The MQTT name of a record with this key, or `undefined` when it has none: then MQTT subscribers don't get it. */
  nameOf(topic: NamedTopic, key: string | undefined): string | undefined {
    if (topic.internal) return undefined;
    let ruled = false;
    for (const [at, rule] of this.rules.entries()) {
      if (rule.topic !== topic.name) continue;
      ruled = true;
      if (key === undefined) continue;
      const name = render(this.#templates[at], key);
      // the name must lead back to here, or its subscribers would listen elsewhere
      if (topicNameProblem(name) === undefined && this.#ruleOf(name) === at) return name;
    }
    if (ruled) return undefined;
    const name = topic.name === this.catchAll ? key : topic.name;
    if (name === undefined || topicNameProblem(name) !== undefined || this.#ruleOf(name) !== undefined)
      return undefined;
    return name;
  }

  /** May a record of this topic have a name that `filter` matches? */
  mayHold(topic: NamedTopic, filter: string): boolean {
    if (topic.internal) return false;
    const rules = this.rules.filter((rule) => rule.topic === topic.name);
    if (rules.length > 0) return rules.some((rule) => filtersMeet(rule.match, filter));
    if (topic.name === this.catchAll)
      return !this.rules.some((rule) => plain(rule) && filterCovers(rule.match, filter));
    return filterMatches(filter, topic.name) && this.#ruleOf(topic.name) === undefined;
  }

  /** The topics named by the config that `filter` reads, whether they exist yet or not. */
  configured(filter: string): string[] {
    const names = new Set([...this.rules.map((rule) => rule.topic), this.catchAll]);
    return [...names].filter((name) => this.mayHold({ name, internal: false }, filter));
  }

  #ruleOf(name: string): number | undefined {
    const at = this.rules.findIndex((_, index) => this.#keyIn(index, name) !== undefined);
    return at < 0 ? undefined : at;
  }

  /** The record's key if the rule takes this name. */
  #keyIn(at: number, name: string): string | undefined {
    const rule = this.rules[at];
    const template = this.#templates[at];
    if (rule === undefined || template === undefined || !filterMatches(rule.match, name)) return undefined;
    const { before, after } = template;
    if (name.length < before.length + after.length || !name.startsWith(before) || !name.endsWith(after))
      return undefined;
    return name.slice(before.length, name.length - after.length);
  }
}

interface Template {
  readonly before: string;
  readonly after: string;
}

function parseTemplate(text: string): Template {
  const at = text.indexOf('{key}');
  return { before: text.slice(0, at), after: text.slice(at + 5) };
}

function render(template: Template | undefined, key: string): string {
  return template === undefined ? key : template.before + key + template.after;
}

/** Does the rule take every name its filter matches? */
function plain(rule: MappingRule): boolean {
  return rule.template === undefined || rule.template === '{key}';
}

function isTopicName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,249}$/.test(name);
}

function checkRule(rule: MappingRule, at: number, catchAll: string): void {
  const fail = (what: string, hint: string): RobustError =>
    new RobustError('MAPPING_INVALID', `mappings[${at}] (${rule.match} -> ${rule.topic}): ${what}`, { hint });
  const problem = topicFilterProblem(rule.match);
  if (problem !== undefined) throw fail(`match ${problem}`, 'Use a topic filter such as sensors/#');
  if (!isTopicName(rule.topic))
    throw fail('topic is not a topic name', 'Use letters, digits, ".", "_" and "-", at most 249');
  if (rule.topic === catchAll) throw fail('topic is the catch-all topic', 'Leave the rule out: it changes nothing');
  if (rule.template === undefined) return;
  if (rule.template.split('{key}').length !== 2)
    throw fail(`template "${rule.template}" must hold {key} once`, 'For example devices/{key}/state');
  const sample = rule.template.replace('{key}', 'k');
  if (hasWildcard(sample) || !filtersMeet(rule.match, sample))
    throw fail(`template "${rule.template}" gives names that match does not take`, 'Make the two agree');
}
