import type { Listener } from '@robustmq/core';
import { VERSION } from '../version.ts';
import type { RunningNode } from './node.ts';
import { problemText } from './readiness.ts';

/** What a person wants to know first: where it listens, where the data is, what to try. */
export function startUpText(node: RunningNode, self = 'robust-server'): string {
  const { config } = node;
  const listeners = node.listeners();
  const engines = config.engines.map(({ name, use, definition }) => {
    const fallback = name === config.policy.defaults.engine ? ', the default' : '';
    return `${name} (${use}, durability ${definition.capabilities.durability}${fallback})`;
  });
  const { ready, uptimeMs, problems } = node.status();
  const lines: [string, string][] = [
    ...problems.map((problem): [string, string] => ['PROBLEM', problemText(problem)]),
    ...listeners.map((listener): [string, string] => [listener.protocol, addressOf(listener)]),
    ['data', config.data],
    ['engines', engines.join(', ')],
    ['config', config.file ?? 'none: defaults'],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  const how = ready ? `is ready in ${uptimeMs} ms` : `has started in ${uptimeMs} ms, and is not ready`;
  return `RobustMQ ${VERSION} ${how}
${lines.map(([name, value]) => `  ${name.padEnd(width)}  ${value}\n`).join('')}
Try:
${nextCommands(listeners, self)}`;
}

/** The same as one line of data. Not `ready`: it serves all but what its problems tell of. */
export function startUpJson(node: RunningNode): string {
  const { config } = node;
  const { ready, uptimeMs, problems } = node.status();
  return `${JSON.stringify({
    event: 'started',
    ready,
    problems,
    version: VERSION,
    pid: process.pid,
    startedInMs: uptimeMs,
    listeners: node.listeners(),
    data: config.data,
    config: config.file ?? null,
    engines: config.engines.map(({ name, use, source, definition }) => ({
      name,
      use,
      source,
      durability: definition.capabilities.durability,
    })),
    node: { id: config.node.id, clusterId: node.clusterId },
  })}\n`;
}

function nextCommands(listeners: readonly Listener[], self: string): string {
  const mqtt = listeners.find(({ protocol }) => protocol === 'mqtt');
  const kafka = listeners.find(({ protocol }) => protocol === 'kafka');
  const admin = listeners.find(({ protocol }) => protocol === 'admin');
  const commands: string[] = [];
  if (mqtt !== undefined) commands.push(`mosquitto_pub -h ${hostOf(mqtt)} -p ${mqtt.port} -t hello -m world -q 1`);
  if (kafka !== undefined && mqtt !== undefined)
    commands.push(`kcat -b ${hostOf(kafka)}:${kafka.port} -C -t mqtt -o beginning -e`);
  else if (kafka !== undefined) commands.push(`echo world | kcat -b ${hostOf(kafka)}:${kafka.port} -P -t hello`);
  if (admin !== undefined) {
    const flag =
      admin.port === 9644 && hostOf(admin) === '127.0.0.1' ? '' : ` --admin http://${hostOf(admin)}:${admin.port}`;
    commands.push(`${self} topic ls${flag}`);
  }
  return commands.map((command) => `  ${command}\n`).join('');
}

function addressOf(listener: Listener): string {
  const address = `${listener.host.includes(':') ? `[${listener.host}]` : listener.host}:${listener.port}`;
  return listener.protocol === 'admin' ? `http://${address}` : address;
}

function hostOf(listener: Listener): string {
  return listener.host === '0.0.0.0' || listener.host === '::' ? '127.0.0.1' : listener.host;
}
