import { open, stat } from 'node:fs/promises';
import { Alias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLError } from 'yaml';
import { Draft, type Json, type JsonObject, type Path, put } from './draft.ts';
import { type ConfigCode, ConfigError, type ConfigIssue, type Origin } from './issue.ts';

export const CONFIG_LIMITS = {
  /** Bytes of the file. */
  fileBytes: 1_048_576,
  /** Values in it once aliases are followed; a bomb of aliases ends here. */
  values: 20_000,
  depth: 32,
} as const;

/** Reads one YAML file (JSON is YAML too) into a draft that knows line and column of everything in it. @throws ConfigError */
export async function readConfigFile(file: string, shownAs: string = file): Promise<Draft> {
  return parseConfig(decode(await readBounded(file, shownAs), shownAs), shownAs);
}

/** @throws ConfigError */
export function parseConfig(text: string, file: string): Draft {
  const lines = new LineCounter();
  const fail = (code: ConfigCode, offset: number, message: string, hint?: string): never => {
    throw new ConfigError([issue(code, position(lines, file, offset), message, hint)]);
  };
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true, uniqueKeys: true });
  } catch (error) {
    // deep nesting overflows the parser's stack
    if (error instanceof RangeError) return fail('CONFIG_TOO_COMPLEX', 0, 'the file is nested too deeply');
    throw error;
  }
  // or the parser turns that into an error of its own
  if (document.errors.some(({ message }) => message.includes('Maximum call stack')))
    return fail('CONFIG_TOO_COMPLEX', 0, 'the file is nested too deeply');
  const problems = [...document.errors, ...document.warnings].map((error) => syntaxIssue(error, lines, file));
  const [first, ...rest] = problems;
  if (first !== undefined) throw new ConfigError([first, ...rest.slice(0, 9)]);

  const draft = new Draft();
  let values = 0;
  const place = (node: Node | null | undefined): Origin => position(lines, file, node?.range?.[0] ?? 0);

  const convert = (node: unknown, path: Path): Json => {
    const at = node instanceof Alias ? node.resolve(document) : (node as Node | null);
    const offset = (node as Node | null)?.range?.[0] ?? 0;
    if (++values > CONFIG_LIMITS.values)
      fail('CONFIG_TOO_COMPLEX', offset, `more than ${CONFIG_LIMITS.values} values`, 'Use fewer aliases (*name)');
    if (path.length > CONFIG_LIMITS.depth)
      fail('CONFIG_TOO_COMPLEX', offset, `nested more than ${CONFIG_LIMITS.depth} levels deep`);
    if (isSeq(at))
      return at.items.map((item, i) => {
        draft.mark([...path, i], place(item as Node | null));
        return convert(item, [...path, i]);
      });
    if (isMap(at)) {
      const object: JsonObject = {};
      for (const pair of at.items) {
        const key = pair.key as Node | null;
        if (!isScalar(key) || typeof key.value === 'object')
          fail('CONFIG_SYNTAX', key?.range?.[0] ?? offset, 'a key must be a plain word');
        const name = isScalar(key) ? (key.source ?? String(key.value)) : '';
        const inner = [...path, name];
        draft.mark(inner, place((pair.value as Node | null) ?? key), place(key));
        put(object, name, convert(pair.value, inner));
      }
      return object;
    }
    return isScalar(at) ? scalar(at.value) : null;
  };

  draft.mark([], { kind: 'file', file, line: 0, column: 0 });
  const root = convert(document.contents, []);
  if (root === null) return draft;
  if (typeof root !== 'object' || Array.isArray(root))
    return fail('CONFIG_TYPE', 0, 'the file must be a map of settings', 'Start with a line such as "data: ./data"');
  for (const [key, value] of Object.entries(root)) put(draft.root, key, value);
  return draft;
}

async function readBounded(file: string, shownAs: string): Promise<Uint8Array> {
  const origin: Origin = { kind: 'file', file: shownAs, line: 0, column: 0 };
  try {
    // opening a pipe would wait for its writer
    const kind = await stat(file);
    if (!kind.isFile()) {
      const what = kind.isDirectory() ? 'it is a directory' : 'it is not a regular file';
      throw new ConfigError([issue('CONFIG_UNREADABLE', origin, `the file cannot be read: ${what}`)]);
    }
    await using handle = await open(file, 'r');
    const limit = CONFIG_LIMITS.fileBytes;
    const bytes = Buffer.alloc(limit + 1);
    let length = 0;
    while (length <= limit) {
      const { bytesRead } = await handle.read(bytes, length, limit + 1 - length, null);
      if (bytesRead === 0) return bytes.subarray(0, length);
      length += bytesRead;
    }
    throw new ConfigError([
      issue('CONFIG_TOO_LARGE', origin, `the file is larger than ${limit} bytes`, 'Is it the right file?'),
    ]);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT')
      throw new ConfigError([
        issue('CONFIG_NOT_FOUND', origin, 'there is no such file', 'Write one with: robust-server config init'),
      ]);
    throw new ConfigError(
      [issue('CONFIG_UNREADABLE', origin, `the file cannot be read: ${code ?? String(error)}`)],
      error,
    );
  }
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    const origin: Origin = { kind: 'file', file, line: 0, column: 0 };
    throw new ConfigError([issue('CONFIG_ENCODING', origin, 'the file is not UTF-8 text', 'Save it as UTF-8')], error);
  }
}

function syntaxIssue(error: YAMLError, lines: LineCounter, file: string): ConfigIssue {
  const origin = position(lines, file, error.pos[0]);
  if (error.code === 'DUPLICATE_KEY')
    return issue('CONFIG_DUPLICATE_KEY', origin, 'this key stands here for the second time', 'Keep one of the two');
  const hint = error.code === 'TAB_AS_INDENT' ? 'Indent with spaces' : undefined;
  return issue('CONFIG_SYNTAX', origin, `not valid YAML: ${error.message.split('\n')[0]}`, hint);
}

function position(lines: LineCounter, file: string, offset: number): Origin {
  const { line, col } = lines.linePos(offset);
  return { kind: 'file', file, line: Math.max(1, line), column: Math.max(1, col) };
}

function scalar(value: unknown): Json {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  return null;
}

function issue(code: ConfigCode, origin: Origin, message: string, hint?: string): ConfigIssue {
  return { code, origin, path: '', message, ...(hint === undefined ? {} : { hint }) };
}
