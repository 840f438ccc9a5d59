import { topicInTenant } from '@robustmq/broker-common';
import type { Principal, StorageAdapter, Topic } from '@robustmq/core';
import { ZERO_UUID } from './wire/uuid.ts';

/** The way back from {@link topicInTenant}. @returns undefined for a topic of another tenant. */
export function clientName(_principal: Principal, topic: Topic): string | undefined {
  return topic.name;
}

export function findTopic(
  storage: StorageAdapter,
  principal: Principal,
  by: { readonly name?: string | null; readonly topicId: string },
): Topic | undefined {
  if (by.topicId === ZERO_UUID)
    return typeof by.name === 'string' ? storage.topic(topicInTenant(principal, by.name)) : undefined;
  const topic = storage.topicById(by.topicId);
  return topic !== undefined && clientName(principal, topic) !== undefined ? topic : undefined;
}
