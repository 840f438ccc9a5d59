import { configure } from '../configure.ts';
import { CONFIG_FLAGS, EXIT, type Verb } from '../verb.ts';

export const start: Verb = {
  name: 'start',
  summary: 'Start a node',
  flags: { ...CONFIG_FLAGS, json: { help: 'Print the start-up message as one line of JSON' } },
  notes: [
    'Without flags: MQTT on 1883, Kafka on 9092, admin on 9644, all on 127.0.0.1, data in ./data.',
    'The first SIGINT or SIGTERM drains and stops, the second one ends the process at once.',
  ],
  async run(call) {
    const { flags, io } = call;
    const config = await configure(call);
    // only a node needs all that is behind these
    const [
      { startNode },
      { createLogger },
      { guardProcess },
      { startUpJson, startUpText },
      { settleMemory },
      { wideBindWarnings },
    ] = await Promise.all([
      import('../../node/node.ts'),
      import('../../node/logger.ts'),
      import('../../node/guard-process.ts'),
      import('../../node/start-up-message.ts'),
      import('../../node/settle-memory.ts'),
      import('../../node/wide-bind.ts'),
    ]);
    const logger = createLogger(config.log);
    for (const warning of config.warnings) logger.warn({}, warning);
    const guard = guardProcess(logger);
    const node = await startNode(config, { logger, signal: io.signal });
    guard.watch(node);
    for (const warning of wideBindWarnings(node.listeners())) logger.warn({}, warning);
    io.out(flags.has('json') ? startUpJson(node) : startUpText(node, io.env.ROBUST_SERVER_COMMAND));
    settleMemory();

    await Promise.race([stopRequested(io.signal), guard.failed]);
    logger.info({}, 'stopping');
    await node.stop();
    logger.info({}, 'stopped');
    return guard.hasFailed() ? EXIT.internal : EXIT.ok;
  },
};

function stopRequested(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
