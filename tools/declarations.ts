import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A declaration as users see it: where it stands and what it says, without comments and private members. */
export interface Declaration {
  readonly file: string;
  readonly name: string;
  readonly text: string;
}

/**
 * Reads `.d.ts` files as the compiler writes them: every statement begins at the start of a line. Throws on a form it does not know, so
 * that nothing public is passed over in silence.
 */
export class Declarations {
  readonly #modules = new Map<string, Module>();

  /** What an entry exports: the name that users import, and what it stands for (nothing for what comes from another package). */
  exportsOf(entry: string): ReadonlyMap<string, Declaration | undefined> {
    const found = new Map<string, Declaration | undefined>();
    for (const name of [...this.#namesOf(entry, new Set())].toSorted()) {
      const at = this.#locate(entry, name);
      found.set(name, at === undefined ? undefined : this.#declarationAt(at.file, at.name));
    }
    return found;
  }

  /** Every declaration that the types of these name, and so on; not these themselves. */
  reachedFrom(declarations: Iterable<Declaration>): Declaration[] {
    const seen = new Map<string, Declaration>();
    const queue = [...declarations];
    const key = ({ file, name }: Declaration): string => `${file} ${name}`;
    const given = new Set(queue.map(key));
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const module = this.#module(next.file);
      for (const name of typeNames(next.text)) {
        const imported = module.imports.get(name);
        const at = imported ? this.#locate(imported.file, imported.name) : { file: next.file, name };
        if (at === undefined || !this.#module(at.file).statements.has(at.name)) continue;
        const declaration = this.#declarationAt(at.file, at.name);
        if (given.has(key(declaration)) || seen.has(key(declaration))) continue;
        seen.set(key(declaration), declaration);
        queue.push(declaration);
      }
    }
    return [...seen.values()];
  }

  #namesOf(file: string, visited: Set<string>): Set<string> {
    if (visited.has(file)) return new Set();
    visited.add(file);
    const module = this.#module(file);
    const names = new Set(module.exports.keys());
    for (const star of module.stars)
      for (const name of this.#namesOf(star, visited)) if (name !== 'default') names.add(name);
    return names;
  }

  /** Follows exports and imports to the file that declares the name; undefined when that is in another package. */
  #locate(file: string, name: string): Place | undefined {
    const module = this.#module(file);
    const target = module.exports.get(name);
    if (target === 'elsewhere') return undefined;
    if (target !== undefined) {
      if (target.file !== file) return this.#locate(target.file, target.name);
      if (module.statements.has(target.name)) return target;
      const imported = module.imports.get(target.name);
      return imported && this.#locate(imported.file, imported.name);
    }
    for (const star of module.stars) if (this.#namesOf(star, new Set()).has(name)) return this.#locate(star, name);
    throw new Error(`${file} exports no ${name}`);
  }

  #declarationAt(file: string, name: string): Declaration {
    const text = this.#module(file).statements.get(name);
    if (text === undefined) throw new Error(`${file} declares no ${name}`);
    return { file, name, text: text.join('\n') };
  }

  #module(file: string): Module {
    const known = this.#modules.get(file);
    if (known !== undefined) return known;
    const module = readModule(file, readFileSync(file, 'utf8'));
    this.#modules.set(file, module);
    return module;
  }
}

interface Place {
  readonly file: string;
  readonly name: string;
}

interface Module {
  /** By name; more than one text for overloads. */
  readonly statements: Map<string, string[]>;
  readonly exports: Map<string, Place | 'elsewhere'>;
  readonly imports: Map<string, Place>;
  readonly stars: string[];
}

const DECLARATION =
  /^(export )?(default )?(?:declare )?(?:abstract )?(?:interface|type|class|function|const|let|var) ([\w$]+)/;
const FROM = /^(?:import|export)(?: type)? (.+) from '([^']+)';$/s;

function readModule(file: string, source: string): Module {
  const module: Module = { statements: new Map(), exports: new Map(), imports: new Map(), stars: [] };
  const fileOf = (specifier: string): string | undefined =>
    specifier.startsWith('.') ? join(dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts')) : undefined;

  for (const statement of statementsOf(source)) {
    const declared = DECLARATION.exec(statement);
    if (declared !== null && !FROM.test(statement)) {
      const [, isExported, isDefault, name = ''] = declared;
      const text = statement
        .replace(/^export /, '')
        .replace(/^default /, '')
        .replace(/^declare /, '');
      module.statements.set(name, [...(module.statements.get(name) ?? []), text]);
      if (isExported) module.exports.set(isDefault ? 'default' : name, { file, name });
      continue;
    }
    const [, what = '', specifier = ''] = FROM.exec(statement) ?? [];
    const target = fileOf(specifier);
    const star = /^\*(?: as ([\w$]+))?$/.exec(what);
    if (statement.startsWith('import')) {
      for (const [name, local] of namesIn(what))
        if (target !== undefined) module.imports.set(local, { file: target, name });
    } else if (star !== null) {
      if (star[1] !== undefined || target === undefined) throw new Error(`${file}: can't follow ${statement}`);
      module.stars.push(target);
    } else if (what !== '') {
      for (const [name, as] of namesIn(what))
        module.exports.set(as, target === undefined ? 'elsewhere' : { file: target, name });
    } else if (/^export default [\w$]+;$/.test(statement)) {
      module.exports.set('default', { file, name: statement.slice('export default '.length, -1) });
    } else if (/^export (type )?\{[^}]*\};$/.test(statement)) {
      for (const [name, as] of namesIn(statement.slice('export '.length, -1))) module.exports.set(as, { file, name });
    } else throw new Error(`${file}: can't read ${statement}`);
  }
  return module;
}

/** `{ a, type b as c }`, also after a default import: pairs of the name there and the name here. */
function namesIn(list: string): [string, string][] {
  const [, first, inside] = /^(?:([\w$]+),? ?)?(?:\{(.*)\}|\* as [\w$]+)?$/s.exec(list.replace(/^type /, '')) ?? [];
  const names = (inside ?? '').split(',').flatMap((item): [string, string][] => {
    const [name = '', as = name] = item
      .trim()
      .replace(/^type /, '')
      .split(' as ');
    return name === '' ? [] : [[name, as]];
  });
  return first === undefined ? names : [['default', first], ...names];
}

function statementsOf(source: string): string[] {
  const bare = source.replace(
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`[^`]*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (found) => (found.startsWith('/') ? '' : found),
  );
  const statements: string[] = [];
  for (const line of bare.split('\n').map((text) => text.trimEnd())) {
    // what is private is nobody's but the class's; that nobody may construct it concerns everybody
    if (line === '' || /^\s+(#private;|private (?!constructor))/.test(line)) continue;
    if (/^[a-z]/.test(line)) statements.push(line);
    else statements.push(`${statements.pop() ?? ''}\n${line}`);
  }
  return statements;
}

/** Names that may stand for types: no member's, no parameter's. */
function typeNames(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/(?<![\w$.'"])([A-Za-z_$][\w$]*)(?![\w$'"])(?!\??[:(])/g)].map(([, name = '']) => name),
  );
}
