import { createHash } from 'node:crypto';

/**
 * Names of objects. `<prefix><cluster>/` comes first, so that clusters share a bucket; then four digits of a hash, so that a store that
 * divides its work by name does; then what it is, for people who look. Node, life and uid in it make every name nobody else's.
 *
 *     <h4>/log/<node>-<life>-<uid>/<number>                 runs of many segments, as they were appended
 *     <h4>/seg/<segment>/<base>-<end>-e<epoch>-<uid>        one sealed segment
 *     <h4>/seg/shared/<node>-<life>-<uid>                   several small ones
 *     <h4>/state/<segment>/<uid>                            core's state at the beginning of one, when it is large
 *     probe/<node>-<life>-<uid>-<number>                    of no meaning, and deleted again
 *     tmp/<node>-<life>-<uid>/                              what a store of files has not finished yet
 *     manifest/<number>                                     what is in the archive
 *     medium                                                the mark
 */
export class ObjectNames {
  /** In front of every name in the bucket. */
  readonly root: string;

  constructor(prefix: string, cluster: string) {
    this.root = `${prefix}${cluster}/`;
  }

  /** The key in the bucket of an object by its name. */
  keyOf(object: string): string {
    return `${this.root}${object}`;
  }
}

export const MARK_OBJECT = 'medium';
export const MANIFEST_PREFIX = 'manifest/';

export function logObject(life: string, uid: string, number: number): string {
  return spread(`log/${life}-${short(uid)}/${String(number).padStart(12, '0')}`);
}

export function segmentObject(
  id: string,
  range: { readonly base: number; readonly end: number; readonly epoch: number },
  uid: string,
): string {
  const { base, end, epoch } = range;
  return spread(`seg/${id}/${padded(base)}-${padded(end)}-e${epoch}-${short(uid)}`);
}

export function sharedObject(life: string, uid: string): string {
  return spread(`seg/shared/${life}-${short(uid)}`);
}

export function stateObject(id: string, uid: string): string {
  return spread(`state/${id}/${short(uid)}`);
}

/** What a life puts only to see whether the store serves it: few names, so that what is left of them can be deleted without a LIST. */
export function probeObjects(life: string, uid: string): string[] {
  return Array.from({ length: PROBES }, (_, number) => `probe/${life}-${short(uid)}-${number}`);
}

const PROBES = 8;

/** A folder that one life has to itself. */
export function workFolder(life: string, uid: string): string {
  return `tmp/${life}-${short(uid)}/`;
}

export function manifestObject(number: number): string {
  return `${MANIFEST_PREFIX}${padded(number)}`;
}

function spread(name: string): string {
  return `${createHash('sha256').update(name).digest('hex').slice(0, 4)}/${name}`;
}

function padded(value: number): string {
  return String(value).padStart(16, '0');
}

/** 96 bits of it: enough to be nobody else's. */
function short(uid: string): string {
  return uid.replaceAll('-', '').slice(0, 24);
}
