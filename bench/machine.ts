import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** What a figure means nothing without. */
export async function machineFacts(directory: string): Promise<string> {
  const { bavail, bsize } = await statfs(directory);
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '');
  const [device = 'unknown disk', , type = ''] = longestMount(mounts, directory);
  return [
    `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, ${gib(totalmem())} GiB of memory`,
    `${device} (${type}), ${gib(bavail * bsize)} GiB free; Node ${process.version}; ${process.platform} ${process.arch}`,
    `load before the run: ${loadavg()
      .map((load) => load.toFixed(2))
      .join(' ')}`,
  ].join('\n');
}

function longestMount(mounts: string, directory: string): string[] {
  const rows = mounts.split('\n').map((line) => line.split(' '));
  const fits = rows.filter(([, point = '']) => `${directory}/`.startsWith(point === '/' ? '/' : `${point}/`));
  return fits.toSorted((a, b) => (b[1]?.length ?? 0) - (a[1]?.length ?? 0))[0] ?? [];
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(0);
}
