import type { Principal, StorageAdapter, Topic } from '@robustmq/core';
import { ZERO_UUID } from './wire/uuid.ts';

/**
 * The one place where names of a client and names of the store meet. There is one tenant so far, and its names are the
 * store's; a second one gets a prefix here, and no handler changes.
 */
export function storedName(_principal: Principal, name: string): string {
  return name;
}

/** @returns undefined for a topic of another tenant. */
export function clientName(_principal: Principal, topic: Topic): string | undefined {
  return topic.name;
}

export function findTopic(
  storage: StorageAdapter,
  principal: Principal,
  by: { readonly name?: string | null; readonly topicId: string },
): Topic | undefined {
  if (by.topicId === ZERO_UUID)
    return typeof by.name === 'string' ? storage.topic(storedName(principal, by.name)) : undefined;
  const topic = storage.topicById(by.topicId);
  return topic !== undefined && clientName(principal, topic) !== undefined ? topic : undefined;
}
