import { basename, dirname } from 'node:path/posix';

/**
 * Where objects lie in HDFS. A NameNode keeps every directory in memory, so there are few: two digits of the hash that a name begins with make one, and what is
 * behind it becomes part of the file's name.
 *
 * Below `<path>/<prefix><cluster>`:
 *
 *     3f/3f2a~seg~shared~1-4-0a1b...     object 3f2a/seg/shared/1-4-0a1b...
 *     manifest/0000000000000017          object manifest/0000000000000017
 *     medium                             object medium
 *     tmp/1-4-0a1b.../...                what is not whole yet: kept as it is
 */
export class Paths {
  readonly #path: string;
  readonly #prefix: string;

  constructor(path: string, prefix: string) {
    this.#path = path;
    this.#prefix = prefix;
  }

  /** @param key `<prefix><cluster>/<name>` */
  of(key: string): string {
    const { cluster, name } = this.#split(key);
    const [first = '', ...rest] = name.split('/');
    const root = this.rootOf(cluster);
    if (rest.length === 0 || first === WORK) return `${root}/${name}`;
    if (HASH.test(first)) return `${root}/${first.slice(0, DIGITS)}/${name.replaceAll('/', SLASH)}`;
    return `${root}/${first}/${rest.join(SLASH)}`;
  }

  /** The mark of the cluster that an object belongs to. */
  markOf(key: string): string {
    return `${this.rootOf(this.#split(key).cluster)}/medium`;
  }

  /** The directory of a cluster. */
  rootOf(cluster: string): string {
    return `${this.#path}/${this.#prefix}${cluster}`;
  }

  /** What the names of all directories of clusters begin with: the directory that they lie in, and the first letters. */
  get clusters(): { readonly directory: string; readonly letters: string } {
    const some = `${this.#path}/${this.#prefix}x`;
    return { directory: dirname(some), letters: basename(some).slice(0, -1) };
  }

  /** @returns the names of objects in a directory of a cluster begin with this; `undefined`: it has none */
  static beginningIn(directory: string): string | undefined {
    if (directory === WORK) return undefined;
    return HASHED.test(directory) ? directory : `${directory}/`;
  }

  /** The object that a file of such a directory is. */
  static nameOf(directory: string, file: string): string {
    const name = file.replaceAll(SLASH, '/');
    return HASHED.test(directory) ? name : `${directory}/${name}`;
  }

  #split(key: string): { cluster: string; name: string } {
    const rest = key.slice(this.#prefix.length);
    const slash = rest.indexOf('/');
    if (!key.startsWith(this.#prefix) || slash < 0) throw new Error(`${key} is no key of this store`);
    return { cluster: rest.slice(0, slash), name: rest.slice(slash + 1) };
  }
}

const WORK = 'tmp';
const DIGITS = 2;
const HASH = /^[0-9a-f]{4}$/;
const HASHED = /^[0-9a-f]{2}$/;
/** In no name of an object. */
const SLASH = '~';
