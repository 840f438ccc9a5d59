/** One system call in a trace of `strace -f -xx -s N`: where in the order of events it began and where it returned. */
export interface SystemCall {
  readonly name: string;
  /** The first argument when it is a descriptor. */
  readonly fd: number;
  readonly text: string;
  readonly began: number;
  readonly returned: number;
  readonly result: number;
}

/** Reads the lines of a trace. A call that another thread interrupted stands on two lines. */
export function parseTrace(lines: readonly string[]): SystemCall[] {
  const calls: SystemCall[] = [];
  const open = new Map<string, { readonly began: number; readonly text: string }>();
  for (const [at, line] of lines.entries()) {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*?)\s*<unfinished \.\.\.>$/.exec(rest);
    if (unfinished !== null) {
      open.set(pid, { began: at, text: unfinished[1] ?? '' });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const began = resumed === null ? undefined : open.get(pid);
    const text = resumed === null ? rest : `${began?.text ?? ''}${resumed[1]}`;
    const call = /^(\w+)\((.*)\)\s+=\s+(-?\d+)/.exec(text);
    if (call === null) continue;
    const [, name = '', inner = '', result] = call;
    calls.push({
      name,
      fd: Number.parseInt(inner, 10),
      text: inner,
      began: began?.began ?? at,
      returned: at,
      result: Number(result),
    });
  }
  return calls.toSorted((a, b) => a.began - b.began);
}

const WRITES = new Set(['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'sendto', 'sendmsg']);
const READS = new Set(['read', 'readv', 'recvfrom', 'recvmsg']);

/**
 * What is wrong with the order of events, if anything: each marker must have come in on a descriptor, then been in a write to a file opened
 * with O_DSYNC (or O_SYNC) that returned with success, and only after that may anything have been written to the descriptor it came from.
 */
export function findBrokenPromises(lines: readonly string[], markers: readonly string[]): string[] {
  const calls = parseTrace(lines);
  const durable = durableWrites(calls);
  return markers.flatMap((marker) => {
    const hex = [...Buffer.from(marker)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
    const request = calls.find((call) => READS.has(call.name) && call.text.includes(hex));
    if (request === undefined) return [`${marker}: the request is not in the trace`];
    const stored = durable.filter((call) => call.text.includes(hex));
    const [first] = stored.toSorted((a, b) => a.returned - b.returned);
    if (first === undefined) return [`${marker}: no write with O_DSYNC has it`];
    const reply = calls.find(
      (call) => WRITES.has(call.name) && call.fd === request.fd && call.began > request.returned && call.result > 0,
    );
    if (reply === undefined) return [`${marker}: no reply in the trace`];
    return reply.began > first.returned
      ? []
      : [`${marker}: the reply began before the write with O_DSYNC had returned`];
  });
}

/** Writes that were on the disk when they returned. */
function durableWrites(calls: readonly SystemCall[]): SystemCall[] {
  const opened = new Map<number, boolean>();
  return calls.filter((call) => {
    if (call.name === 'openat' && call.result >= 0) opened.set(call.result, /O_D?SYNC/.test(call.text));
    return WRITES.has(call.name) && opened.get(call.fd) === true && call.result > 0;
  });
}
