import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileServer } from './remote-files.ts';

/**
 * docs/conformance-with-testcontainers.md does what it says. The container is a process of this machine with the same face, the server one of the suite's own: the real
 * ones are what the reader has.
 */
const ROOT = join(import.meta.dirname, '../..');
const GUIDE = readFileSync(join(ROOT, 'docs/conformance-with-testcontainers.md'), 'utf8');
const blocks = [...GUIDE.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', name = '', body = '']) => ({ language, name, body }),
);

const CONTAINER = `
import { fileServer } from ${JSON.stringify(join(import.meta.dirname, 'remote-files.ts'))};
export const Wait = { forListeningPorts: () => 'ports' };
export class GenericContainer {
  constructor(image) { if (image !== 'example/store:1.4') throw new Error(image); }
  withExposedPorts(port) { this.port = port; return this; }
  withTmpFs() { return this; }
  withWaitStrategy(strategy) { if (strategy !== 'ports') throw new Error(strategy); return this; }
  async start() {
    const server = await fileServer();
    return {
      getHost: () => '127.0.0.1',
      getMappedPort: (port) => { if (port !== this.port) throw new Error('not exposed'); return server.port; },
      stop: () => server.close(),
    };
  }
}
`;

const ENGINE = `
import { join } from 'node:path';
import http from ${JSON.stringify(join(import.meta.dirname, 'http-engine.ts'))};
const text = { type: 'string' };
export default {
  ...http,
  configSchema: { type: 'object', additionalProperties: false, required: ['endpoint', 'prefix'], properties: { endpoint: text, prefix: text } },
  open: (ctx) => {
    const { hostname: host, port } = new URL(ctx.config.endpoint);
    return http.open({ ...ctx, config: { host, port: Number(port), dir: join(import.meta.dirname, 'data', ctx.config.prefix) } });
  },
};
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'robust-guide-'));
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, 'testcontainers'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules/@robustmq'), join(modules, '@robustmq'));
  writeFileSync(join(modules, 'testcontainers/package.json'), '{ "type": "module", "exports": "./index.js" }');
  writeFileSync(join(modules, 'testcontainers/index.js'), CONTAINER);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'engine.ts'), ENGINE);
  for (const { name, body } of blocks) if (name !== '') writeFileSync(join(folder, name), body);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(words: readonly string[]): Promise<{ readonly code: unknown; readonly out: string }> {
  const { NODE_TEST_CONTEXT: _, VITEST: __, ...env } = process.env;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...words], {
    cwd: folder,
    env: { ...env, ROBUST_CONFORMANCE_EFFORT: '0.05' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, error, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, out: out + error };
}

const commands = blocks.filter(({ language }) => language === 'sh').map(({ body }) => body.trim());

describe('docs/conformance-with-testcontainers.md', { timeout: 180_000 }, () => {
  it('has the commands that are run here, and no others', () => {
    expect(commands).toEqual([
      'node --test engine.test.ts',
      'npx @robustmq/conformance ./engine.ts --config service.yaml --service 127.0.0.1:9000',
    ]);
  });

  it('proves an engine against a server in a container', async () => {
    const { code, out } = await run(['--test', 'engine.test.ts']);
    expect(code, out).toBe(0);
    expect(out).toContain('SHARD-240');
    expect(Number(/# pass (\d+)|ℹ pass (\d+)/.exec(out)?.slice(1).find(Boolean))).toBeGreaterThan(100);
  });

  it('proves it against a server that is there already', async () => {
    const server = await fileServer();
    const [, , ...words] = (commands[1] ?? '').replace('127.0.0.1:9000', `127.0.0.1:${server.port}`).split(' ');
    const bin = join(ROOT, 'conformance/bin/robust-conformance.js');
    const { code, out } = await run([bin, ...words, '--only', '1,213']);
    await server.close();
    expect(code, out).toBe(0);
    expect(out).toContain('All MUST of this run passed');
  });
});
