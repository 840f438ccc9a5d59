// A program in TypeScript that uses the packages as libraries: batches, the suite, a node.
import assert from 'node:assert/strict';
import { formatScorecard, openWorld, runScorecard, type Scorecard } from '@robustmq/conformance';
import { decodeRecords, encodeBatch, type StoredRecord, silentLogger } from '@robustmq/core';
import { type Config, loadConfig } from '@robustmq/core/config';
import { FIRST_PARTY_BROKERS, FIRST_PARTY_ENGINES, type RunningNode, startNode } from '@robustmq/server';
import third from './engine.js';

const batch: Uint8Array = encodeBatch([{ timestamp: 0, key: null, value: Buffer.from('one') }]);
const records: readonly StoredRecord[] = decodeRecords(batch);
assert.equal(Buffer.from(records[0]?.value ?? []).toString(), 'one');

const open = () => openWorld(third, { config: { limitBytes: 32 * 1024 * 1024 } });
const card: Scorecard = await runScorecard(third, { kind: 'engine', open }, { only: ['SHARD-001', 'SHARD-070'] });
console.log(formatScorecard(third.name, [card]));
assert.deepEqual([card.failed.length, card.passed.length > 0], [0, true]);

const plugins = { engines: FIRST_PARTY_ENGINES, brokers: FIRST_PARTY_BROKERS };
const sets = ['admin.port=0', 'brokers.mqtt.port=0', 'brokers.kafka.port=0', 'data=./as-a-library'];
const config: Config = await loadConfig({ env: {}, cwd: process.cwd(), sets, ...plugins });
const node: RunningNode = await startNode(config, { logger: silentLogger });
assert.equal(node.listeners().length, 3);
await node.stop();
