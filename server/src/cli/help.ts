import { EXIT, type Verb } from './verb.ts';

export function overview(verbs: readonly Verb[]): string {
  const width = Math.max(...verbs.map((verb) => verb.name.length));
  const lines = verbs.map((verb) => `  ${verb.name.padEnd(width)}  ${verb.summary}`);
  return `RobustMQ: one broker, many protocols, storage engines chosen per topic.

Usage: robust-server VERB [flags]

${lines.join('\n')}

  robust-server VERB --help tells more about each.

Try: robust-server start
`;
}

export function verbHelp(verb: Verb): string {
  const flags = Object.entries(verb.flags).map(([name, flag]) => {
    const short = flag.short === undefined ? '    ' : `-${flag.short}, `;
    return [`${short}--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`, flag.help] as const;
  });
  flags.push(['-h, --help', 'This text']);
  const width = Math.max(...flags.map(([left]) => left.length));
  const notes = verb.notes === undefined ? '' : `\n${verb.notes.join('\n')}\n`;
  return `${verb.summary}

Usage: robust-server ${verb.name}${verb.operands === undefined ? '' : ` ${verb.operands}`} [flags]

${flags.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')}
${notes}
Exit codes: ${Object.entries(EXIT)
    .map(([name, code]) => `${code} ${EXIT_WORDS[name] ?? name}`)
    .join(', ')}
`;
}

const EXIT_WORDS: Readonly<Record<string, string>> = {
  usage: 'wrong usage',
  config: 'wrong configuration or plug-in',
  unreachable: 'no node answers',
  notReady: 'not ready',
  internal: 'a bug',
  interrupted: 'ended by a signal before it had started, or by a second one',
};
