import type { StrayObject } from '@robustmq/core';
import { formatUnit } from '@robustmq/core/config';

/** Objects with segments that the manifest does not list: how many, and the names of some. For those who have looked at all that lies there. */
export class Strays {
  static readonly SHOWN = 100;
  #count = 0;
  #later = 0;
  #bytes = 0;
  readonly #some: StrayObject[] = [];

  add(object: StrayObject): void {
    this.#count++;
    if (object.isLater) this.#later++;
    this.#bytes += object.bytes;
    if (this.#some.length < Strays.SHOWN) this.#some.push(object);
  }

  summary(): object {
    return { objects: this.#count, later: this.#later, bytes: this.#bytes, some: this.#some };
  }

  text(): string {
    if (this.#count === 0) return 'Nothing else lies there.\n';
    const names = this.#some.map(
      ({ name, isLater }) => `  ${name}${isLater ? '  (may be later than the manifest)' : ''}\n`,
    );
    const more = this.#count > this.#some.length ? `  and ${this.#count - this.#some.length} more\n` : '';
    return `${this.#count} objects (${formatUnit('bytes', this.#bytes)}) are not in the manifest; ${this.#later} of them may be later than it, within 15 minutes as clocks may differ:\n${names.join('')}${more}`;
  }
}
