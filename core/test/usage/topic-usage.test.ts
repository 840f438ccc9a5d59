import { type Counter, type Metrics, type SegmentUsage, type Topic, TopicUsage, unreadMetrics } from '@robustmq/core';
import { SeededRandom } from '@robustmq/core/testing';
import { expect, test } from 'vitest';
import { segmentId } from '../../src/shard/chain.ts';

const random = new SeededRandom(1);
const orders = { name: 'orders', id: random.uuid() } as Topic; // nothing else is looked at
const alarms = { name: 'alarms', id: random.uuid() } as Topic;

test('reports for the segments of a topic add up, apart for each instance', () => {
  const { usage, read } = usageOf([orders, alarms]);
  usage.add('cold', report(segmentId(orders.id, 0, 1), { puts: 0.25, bytesOut: 100, cost: 0.5 }));
  usage.add('cold', report(segmentId(orders.id, 7, 123), { puts: 1, gets: 2, bytesIn: 30, cost: 1 }));
  usage.add('cold', report(segmentId(alarms.id, 0, 1), { puts: 0.75, lists: 1 }));
  usage.add('other', report(segmentId(orders.id, 0, 1), { gets: 5 }));
  expect(read('robust_topic_store_requests_total')).toEqual({
    'orders cold put': 1.25,
    'orders cold get': 2,
    'alarms cold put': 0.75,
    'alarms cold list': 1,
    'orders other get': 5,
  });
  expect(read('robust_topic_store_bytes_total')).toEqual({ 'orders cold out': 100, 'orders cold in': 30 });
  expect(read('robust_topic_store_cost_total')).toEqual({ 'orders cold': 1.5 });
});

test('what is made for nobody, or for a topic that is gone, counts for no topic: the sum is that of the bill', () => {
  const { usage, read } = usageOf([orders]);
  usage.add('cold', report('', { lists: 3 }));
  usage.add('cold', report(segmentId(alarms.id, 0, 1), { lists: 4 }));
  expect(read('robust_topic_store_requests_total')).toEqual({ ' cold list': 7 });
});

test('a topic that is deleted keeps what it has used, and one of its name goes on from there', () => {
  const topics = [orders];
  const { usage, read } = usageOf(topics);
  usage.add('cold', report(segmentId(orders.id, 0, 1), { puts: 1 }));
  topics[0] = { ...orders, id: random.uuid() };
  usage.add('cold', report(segmentId(orders.id, 0, 2), { puts: 1 }));
  usage.add('cold', report(segmentId(topics[0].id, 0, 1), { puts: 1 }));
  expect(read('robust_topic_store_requests_total')).toEqual({ 'orders cold put': 3 });
});

test('no number of topics makes more than 2,000 rows for an instance', () => {
  const topics = Array.from({ length: 2100 }, (_, i) => ({ name: `t${i}`, id: random.uuid() }) as Topic);
  const { usage, read } = usageOf(topics);
  for (const { id } of topics) usage.add('cold', report(segmentId(id, 0, 1), { gets: 1 }));
  const rows = read('robust_topic_store_requests_total');
  expect(Object.keys(rows)).toHaveLength(2001);
  expect(rows[' cold get']).toBe(100);
});

function report(segment: string, part: Partial<SegmentUsage>): SegmentUsage {
  return { segment, puts: 0, gets: 0, lists: 0, bytesOut: 0, bytesIn: 0, cost: 0, ...part };
}

/** A node's usage, and what its metrics say: rows that are not 0, by their labels. */
function usageOf(topics: readonly Topic[]) {
  const series = new Map<string, Counter>();
  const metrics: Metrics = {
    ...unreadMetrics,
    counter: (name, _help, labels = {}) => {
      const key = `${name}|${Object.values(labels).join(' ')}`;
      const counter = series.get(key) ?? { value: 0 };
      series.set(key, counter);
      return counter;
    },
  };
  return {
    usage: new TopicUsage(metrics, () => topics),
    read: (name: string): Record<string, number> => {
      const rows = [...series].filter(([key, { value }]) => key.startsWith(`${name}|`) && value !== 0);
      return Object.fromEntries(rows.map(([key, { value }]) => [key.slice(name.length + 1), value]));
    },
  };
}
