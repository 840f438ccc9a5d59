import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The lines of an author's code that an error came from, or through: those of the engine's own package, installed or not; else those of what it uses; else the
 * suite's, which say at least what was asked. `engine` is the URL of its module.
 */
export function linesOf(error: Error, engine: string | undefined): string[] {
  const frames = [...new Set(chainOf(error).flatMap((each) => calledByUs(framesOf(each))))].filter(
    (frame) => !NOBODYS.test(frame),
  );
  const own = engine === undefined ? undefined : packageOf(engine);
  const kinds = [
    (frame: string) => own !== undefined && isIn(own, frame) && !isOurs(frame),
    (frame: string) => !frame.includes('/node_modules/') && !isOurs(frame),
    (frame: string) => !isOurs(frame) && !TOOLS.test(frame),
    (frame: string) => isIn(SUITE, frame) && !ASSERTS.test(frame),
  ];
  return (
    kinds
      .map((is) => frames.filter(is))
      .find((lines) => lines.length > 0)
      ?.slice(0, 3) ?? []
  );
}

const NOBODYS = /node:|\(native\)|<anonymous>|^async Promise\./;
/** What checks are made with. */
const TOOLS = /\/node_modules\/(@?vitest|fast-check|mocha|jest[^/]*)\//;
const RUNS_CHECKS = /\/(run-check|scorecard|suite|cli\/\w+)\.[jt]s:/;
const ASSERTS = /\/expect\.[jt]s:/;

/** Folders of this package and of the core it is used with, wherever they lie; `core/src` of somebody else is theirs. */
const SUITE = packageOf(import.meta.url);
const CORE = packageOf(import.meta.resolve('@robustmq/core'));

/** Whoever has started the suite, a test say, did not cause anything. */
function calledByUs(frames: readonly string[]): readonly string[] {
  const start = frames.findIndex((frame) => isIn(SUITE, frame) && RUNS_CHECKS.test(frame));
  return start < 0 ? frames : frames.slice(0, start);
}

function isOurs(frame: string): boolean {
  return isIn(SUITE, frame) || isIn(CORE, frame) || /\/node_modules\/@robustmq\/(core|conformance)\//.test(frame);
}

/** Packages that are installed below a package are not it. */
function isIn(folder: string, frame: string): boolean {
  const at = frame.indexOf(`${folder}${sep}`);
  return at >= 0 && !frame.slice(at + folder.length).includes('/node_modules/');
}

/** The folder of the nearest package.json, else that of the file; as frames name it, without links. */
function packageOf(url: string): string {
  const path = fileURLToPath(url);
  const folder = dirname(existsSync(path) ? realpathSync(path) : path);
  for (let at = folder; dirname(at) !== at; at = dirname(at)) if (existsSync(join(at, 'package.json'))) return at;
  return folder;
}

function chainOf(error: Error): Error[] {
  const chain: Error[] = [];
  for (let at: unknown = error; at instanceof Error && !chain.includes(at); at = at.cause) chain.push(at);
  return chain;
}

/** `where (path:line:column)`, or the path alone; of a URL the path. */
function framesOf({ stack = '' }: Error): string[] {
  return [...stack.matchAll(/^ {4}at (.*)$/gm)].map(([, frame = '']) =>
    frame.replace(/file:\/\/\S*?(?=:\d+:\d+\)?$)/, (url) => fileURLToPath(url)),
  );
}
