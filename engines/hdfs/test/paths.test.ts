import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  logObject,
  MARK_OBJECT,
  manifestObject,
  probeObjects,
  segmentObject,
  sharedObject,
  stateObject,
  workFolder,
} from '../../objects/src/keys.ts';
import { Paths } from '../src/paths.ts';

/** Of HDFS: dfs.namenode.fs-limits.max-component-length */
const LONGEST_NAME = 255;

const segment = fc.stringMatching(/^[a-z0-9._-]{1,128}$/).filter((id) => id !== '.' && id !== '..');
const uid = fc.uuid();
const life = fc.tuple(fc.nat(), fc.nat()).map(([node, number]) => `${node}-${number}`);
const offset = fc.maxSafeNat();
const name = fc.oneof(
  fc.tuple(life, uid, fc.nat()).map((parts) => logObject(...parts)),
  fc
    .tuple(segment, fc.record({ base: offset, end: offset, epoch: fc.nat() }), uid)
    .map((parts) => segmentObject(...parts)),
  fc.tuple(life, uid).map((parts) => sharedObject(...parts)),
  fc.tuple(segment, uid).map((parts) => stateObject(...parts)),
  fc.tuple(life, uid, fc.nat(7)).map(([its, id, number]) => probeObjects(its, id)[number] ?? ''),
  offset.map(manifestObject),
  fc.constant(MARK_OBJECT),
);
const prefix = fc.constantFrom('', 'robust/', 'a/b/', 'team-', 'a/team-');
const cluster = fc.uuid();

/** As a listing shows it: a file in the directory of the cluster, or in one of its directories. */
function placeOf(paths: Paths, root: string, key: string): readonly [directory: string | undefined, file: string] {
  const path = paths.of(key);
  expect(path.startsWith(`${root}/`)).toBe(true);
  const [first = '', second, ...more] = path.slice(root.length + 1).split('/');
  expect(more).toEqual([]);
  return second === undefined ? [undefined, first] : [first, second];
}

describe('where objects lie in HDFS', () => {
  test('is known from the name, and the name from where it lies', () => {
    fc.assert(
      fc.property(prefix, cluster, name, (before, its, object) => {
        const paths = new Paths('/robust', before);
        const [directory, file] = placeOf(paths, paths.rootOf(its), `${before}${its}/${object}`);
        if (directory === undefined) {
          expect(file).toBe(object);
          return;
        }
        expect(Paths.nameOf(directory, file)).toBe(object);
        expect(object.startsWith(Paths.beginningIn(directory) ?? '?')).toBe(true);
      }),
    );
  });

  test('is another place for another object', () => {
    const paths = new Paths('/robust', '');
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 2 }), (objects) => {
        expect(new Set(objects.map((object) => paths.of(`c/${object}`))).size).toBe(objects.length);
      }),
    );
  });

  test('is in few directories, by names that HDFS takes', () => {
    const paths = new Paths('/robust', '');
    const directories = new Set<string | undefined>();
    fc.assert(
      fc.property(name, (object) => {
        const [directory, file] = placeOf(paths, '/robust/c', `c/${object}`);
        directories.add(directory);
        expect(directory ?? 'ab').toMatch(/^([0-9a-f]{2}|probe|manifest)$/);
        expect(Buffer.byteLength(file)).toBeLessThanOrEqual(LONGEST_NAME);
        expect(file).not.toContain(':');
      }),
    );
    expect(directories.size).toBeGreaterThan(3);
  });

  test('is in the order of the names, one directory after the other', () => {
    const paths = new Paths('/robust', '');
    fc.assert(
      fc.property(name, name, (a, b) => {
        const [[inA = a], [inB = b]] = [placeOf(paths, '/robust/c', `c/${a}`), placeOf(paths, '/robust/c', `c/${b}`)];
        if (inA !== inB) expect(inA < inB).toBe(a < b);
      }),
    );
  });

  test('of what is not whole yet is a folder of one life, whose files are no objects', () => {
    const paths = new Paths('/robust', 'a/');
    const folder = workFolder('1-4', '0a1b2c3d-0000-0000-0000-000000000000');
    expect(paths.of(`a/c/${folder}x-1`)).toBe(`/robust/a/c/${folder}x-1`);
    expect(Paths.beginningIn('tmp')).toBeUndefined();
  });

  test.each([
    ['', { directory: '/robust', letters: '' }],
    ['a/', { directory: '/robust/a', letters: '' }],
    ['team-', { directory: '/robust', letters: 'team-' }],
    ['a/team-', { directory: '/robust/a', letters: 'team-' }],
  ])('below the prefix %j has its clusters where they are looked for', (before, clusters) => {
    const paths = new Paths('/robust', before);
    expect(paths.clusters).toEqual(clusters);
    expect(paths.rootOf('c')).toBe(`${clusters.directory}/${clusters.letters}c`);
  });

  test.each(['other/c/medium', 'a/c', 'a/'])('of %s is not asked: it is no key here', (key) => {
    expect(() => new Paths('/robust', 'a/').of(key)).toThrow('no key of this store');
  });
});
