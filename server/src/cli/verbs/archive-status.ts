import {
  type Amount,
  type ArchiveStatus,
  type ManifestStatus,
  messageWithHint,
  type ShardArchiveStatus,
} from '@robustmq/core';
import { formatUnit } from '@robustmq/core/config';
import { ARCHIVE } from '../../admin/archive-routes.ts';
import { AdminClient } from '../admin-client.ts';
import { table } from '../table.ts';
import { ADMIN_FLAG, EXIT, JSON_FLAG, type Verb } from '../verb.ts';

export const archiveStatus: Verb = {
  name: 'archive status',
  summary: 'Show what waits to be archived, is on its way, has failed, lies there',
  operands: '[TOPIC]',
  maxOperands: 1,
  flags: { ...ADMIN_FLAG, json: JSON_FLAG },
  notes: ['Without TOPIC: of shards that were used since the node started, or had work.'],
  async run(call) {
    const [topic] = call.operands;
    const query = topic === undefined ? '' : `?topic=${encodeURIComponent(topic)}`;
    const status = await new AdminClient(call).json<ArchiveStatus>('GET', `${ARCHIVE}${query}`);
    call.io.out(call.flags.has('json') ? `${JSON.stringify(status)}\n` : describeStatus(status));
    return EXIT.ok;
  },
};

function describeStatus({ shards, shardsNotOpen, manifests }: ArchiveStatus): string {
  const rows = shards.map((shard) => [
    shard.topic,
    shard.shard,
    shard.to,
    amount(shard.waiting),
    shard.lagMs === 0 ? '' : formatUnit('ms', Math.round(shard.lagMs)),
    movingText(shard),
    amount(shard.archived),
    amount(shard.copies),
    failedText(shard),
  ]);
  const head = ['TOPIC', 'SHARD', 'TO', 'WAITING', 'LATE BY', 'MOVING', 'ARCHIVED', 'COPIES', 'FAILED'];
  const idle = shardsNotOpen === 0 ? '' : `${shardsNotOpen} shards have not been used since the start.\n`;
  const written = manifests.map(manifestText).join('');
  return `${rows.length === 0 ? 'No shard in memory is archived.\n' : table(head, rows)}${idle}${written}`;
}

function amount({ segments, bytes }: Amount): string {
  return segments === 0 ? '0' : `${segments} (${formatUnit('bytes', bytes)})`;
}

function movingText({ moving }: ShardArchiveStatus): string {
  if (moving === undefined) return '';
  const { base, end, bytes, ofBytes, to } = moving;
  return `${base}-${end} to ${to}: ${formatUnit('bytes', bytes)} of ${formatUnit('bytes', ofBytes)}`;
}

function failedText({ failed }: ShardArchiveStatus): string {
  if (failed === undefined) return '';
  return `${failed.code}: ${messageWithHint(failed)}; again in ${formatUnit('ms', failed.retryInMs)}`;
}

function manifestText({ instance, number, writtenAt, segments, bytes, isBehind, error }: ManifestStatus): string {
  const when = number === 0 ? 'none yet' : `number ${number} of ${new Date(writtenAt).toISOString()}`;
  const behind = isBehind && number > 0 ? ', something has changed since' : '';
  const trouble = error === undefined ? '' : `; ${error.code}: ${messageWithHint(error)}`;
  return `Manifest of ${instance}: ${when}${behind}; ${segments} segments, ${formatUnit('bytes', bytes)}${trouble}\n`;
}
