import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Declarations } from '../../tools/declarations.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'robust-declarations-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(files: Readonly<Record<string, string>>): {
  exported: Record<string, string | undefined>;
  reached: string[];
} {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const declarations = new Declarations();
  const exported = declarations.exportsOf(join(folder, 'index.d.ts'));
  const own = [...exported.values()].filter((declaration) => declaration !== undefined);
  return {
    exported: Object.fromEntries([...exported].map(([name, declaration]) => [name, declaration?.text])),
    reached: declarations.reachedFrom(own).map(({ text }) => text),
  };
}

test('exports are followed through files, stars, aliases and defaults', () => {
  const { exported } = read({
    'index.d.ts': "export * from './a.ts';\nexport { type B as C, d } from './b.ts';\nexport { x } from 'elsewhere';\n",
    'a.d.ts':
      "import { E } from './b.ts';\ndeclare const a: E;\nexport default a;\nexport { E };\nexport declare const one = 1;\n",
    'b.d.ts': 'export interface B {\n    b: 1;\n}\nexport declare function d(): void;\nexport type E = 2;\n',
  });
  expect(exported).toEqual({
    C: 'interface B {\n    b: 1;\n}',
    E: 'type E = 2;',
    d: 'function d(): void;',
    one: 'const one = 1;',
    x: undefined,
  });
});

test('a type that is named and not exported is part of what users see', () => {
  const { exported, reached } = read({
    'index.d.ts':
      "import type { Hidden } from './b.ts';\nexport interface A {\n    own: Local;\n    of(unrelated: number): Hidden[];\n}\ninterface Local {\n    x: 1;\n}\n",
    'b.d.ts': 'export type Hidden = Deeper | undefined;\ntype Deeper = 3;\nexport type unrelated = 4;\n',
  });
  expect(Object.keys(exported)).toEqual(['A']);
  expect(reached.toSorted()).toEqual([
    'interface Local {\n    x: 1;\n}',
    'type Deeper = 3;',
    'type Hidden = Deeper | undefined;',
  ]);
});

test('comments and private members change nothing, a constructor that nobody may call does', () => {
  const { exported } = read({
    'index.d.ts':
      "/** A class. */\nexport declare class A {\n    #private;\n    private x;\n    private constructor();\n    // why\n    readonly url: 'http://x/*y*/';\n}\n",
  });
  expect(exported).toEqual({ A: "class A {\n    private constructor();\n    readonly url: 'http://x/*y*/';\n}" });
});

test('overloads are one declaration', () => {
  const text = 'export declare function f(a: 1): 1;\nexport declare function f(a: 2): 2;\n';
  expect(read({ 'index.d.ts': text }).exported).toEqual({ f: 'function f(a: 1): 1;\nfunction f(a: 2): 2;' });
});

test('a form that is not known is an error, not left out', () => {
  expect(() => read({ 'index.d.ts': 'export declare namespace N {\n    const x = 1;\n}\n' })).toThrow("can't read");
  expect(() => read({ 'index.d.ts': "export * as ns from './b.ts';\n", 'b.d.ts': '' })).toThrow("can't follow");
});
