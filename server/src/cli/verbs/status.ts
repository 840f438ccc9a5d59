import { type NodeStatus, problemText } from '../../node/readiness.ts';
import { AdminClient } from '../admin-client.ts';
import { ADMIN_FLAG, EXIT, JSON_FLAG, type Verb } from '../verb.ts';

export const status: Verb = {
  name: 'status',
  summary: 'Ask a running node how it is; exit code 5 when it is not ready',
  flags: { ...ADMIN_FLAG, json: JSON_FLAG },
  async run(call) {
    const state = await new AdminClient(call).json<NodeStatus>('GET', '/status.json');
    call.io.out(call.flags.has('json') ? `${JSON.stringify(state)}\n` : describe(state));
    return state.ready ? EXIT.ok : EXIT.notReady;
  },
};

function describe(state: NodeStatus): string {
  const lines = [
    `${state.ready ? 'ready' : `NOT READY (${state.phase})`}, version ${state.version}, pid ${state.pid}, up ${Math.round(state.uptimeMs / 1000)} s`,
    `data       ${state.data}`,
    ...state.listeners.map(({ protocol, host, port }) => `${protocol.padEnd(10)} ${host}:${port}`),
    ...state.engines.map(
      ({ instance, use, health }) =>
        `engine     ${instance} (${use}): ${health.status}${health.detail === '' ? '' : `, ${health.detail}`}`,
    ),
    ...state.problems.map((problem) => `PROBLEM    ${problemText(problem)}`),
  ];
  return `${lines.join('\n')}\n`;
}
