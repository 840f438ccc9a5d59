import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** SIGSTOP, and waits until every thread stands still: one that runs on the other core may answer for a moment. */
export async function stopProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  while (!states(pid).every((state) => state === 'T')) await sleep(1);
}

function states(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((thread) => {
    const stat = readFileSync(`${tasks}/${thread}/stat`, 'latin1');
    // behind its name, which may hold anything
    return stat.charAt(stat.lastIndexOf(')') + 2);
  });
}
