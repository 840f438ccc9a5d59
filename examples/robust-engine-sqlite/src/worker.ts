import { parentPort, workerData } from 'node:worker_threads';
import { saysDamage } from './damage.ts';
import { NewerFormat, Store } from './store.ts';
import type { Failure, FromWorker, Group } from './work.ts';

/** The thread that writes. `node:sqlite` blocks while it syncs, and no broker could answer anybody meanwhile. */
const { dir, incarnation } = workerData as { readonly dir: string; readonly incarnation: string }; // what database.ts gives
const port = parentPort;
if (port === null) throw new Error('this is a module for a worker thread');
const say = (message: FromWorker): void => port.postMessage(message);

try {
  const store = new Store(dir, incarnation);
  port.on('message', (group: Group | 'close') => {
    if (group === 'close') {
      port.close();
      store.close();
      return;
    }
    try {
      say({ answers: store.run(group) });
    } catch (error) {
      say({ failed: failureOf(error) });
    }
  });
  say({ opened: { incarnation: store.incarnation } });
} catch (error) {
  say({ failed: failureOf(error) });
  port.close();
}

function failureOf(error: unknown): Failure {
  const code = error instanceof NewerFormat ? 'FORMAT_TOO_NEW' : saysDamage(error) ? 'CORRUPT' : 'IO_ERROR';
  return { code, detail: error instanceof Error ? error.message : String(error) };
}
