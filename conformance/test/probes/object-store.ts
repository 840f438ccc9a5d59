import { type Place, Shelf } from './shelf.ts';
import { Weather } from './weather.ts';

/** A fake object store: conditional puts, ranged reads, lists; calls overtake each other, requests and replies get lost. */
export class ObjectStore {
  readonly objects: Map<string, Place> = new Map();
  readonly #shelf: Shelf;
  readonly weather: Weather;

  constructor(seed: number, dir: string) {
    this.#shelf = new Shelf(dir);
    this.weather = new Weather(seed, 0.03);
  }

  /** @returns false when there is an object of that name */
  putNew(key: string, bytes: Uint8Array): Promise<boolean> {
    // what the caller does with its bytes after the call is its own affair
    const body = Uint8Array.from(bytes);
    return this.weather.pass(() => {
      if (this.objects.has(key)) return false;
      this.objects.set(key, this.#shelf.put(body));
      return true;
    });
  }

  get(key: string, at: number, bytes: number): Promise<Uint8Array | undefined> {
    return this.weather.pass(() => {
      const place = this.objects.get(key);
      if (place === undefined || at + bytes > place.bytes) return undefined;
      return this.#shelf.get({ at: place.at + at, bytes });
    });
  }

  delete(key: string): Promise<void> {
    return this.weather.pass(() => void this.objects.delete(key));
  }

  list(prefix: string): Promise<string[]> {
    return this.weather.pass(() => [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort());
  }
}
