import type { Counter, Histogram, Metrics } from '@robustmq/core';
import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly value: number;
  readonly labels: Labels;
  readonly metricName?: string;
}

/**
 * Core's metrics behind prom-client's exposition. What hot paths touch are plain fields of our own; prom-client sees them only when
 * somebody scrapes.
 */
export class PrometheusMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #families = new Map<string, Family>();

  /** Adds the process's own: memory, CPU, garbage collection, event loop lag. */
  addProcessMetrics(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  counter(name: string, help: string, labels: Labels = {}): Counter {
    return this.#series(name, help, 'counter', labels, () => new CounterSeries());
  }

  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#series(name, help, 'gauge', labels, () => new GaugeSeries(read)).read = read;
  }

  histogram(name: string, help: string, buckets: readonly number[], labels: Labels = {}): Histogram {
    return this.#series(name, help, 'histogram', labels, () => new HistogramSeries(buckets));
  }

  names(): string[] {
    return [...this.#families.keys()];
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #series<S extends Series>(name: string, help: string, type: Family['type'], labels: Labels, make: () => S): S {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = new Family(name, help, type);
      this.#families.set(name, family);
      // prom-client calls name, help, type and get() of what it is given, and nothing else
      this.#registry.registerMetric(family as unknown as Metric<string>);
    }
    if (family.type !== type) throw new Error(`metric ${name} is a ${family.type} and a ${type}`);
    const key = JSON.stringify(Object.entries(labels).toSorted());
    const known = family.series.get(key);
    // one name is one type, so a series that is there is of the class that `make` makes
    if (known !== undefined) return known.series as S;
    const series = make();
    family.series.set(key, { labels, series });
    return series;
  }
}

class Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator = 'sum';
  readonly series: Map<string, { readonly labels: Labels; readonly series: Series }> = new Map();

  constructor(name: string, help: string, type: Family['type']) {
    this.name = name;
    this.help = help;
    this.type = type;
  }

  async get(): Promise<object> {
    const values = [...this.series.values()].flatMap(({ labels, series }) => series.samples(this.name, labels));
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }
}

interface Series {
  samples(name: string, labels: Labels): Sample[];
}

class CounterSeries implements Counter, Series {
  value = 0;

  samples(_name: string, labels: Labels): Sample[] {
    return [{ value: this.value, labels }];
  }
}

class GaugeSeries implements Series {
  read: () => number;

  constructor(read: () => number) {
    this.read = read;
  }

  samples(_name: string, labels: Labels): Sample[] {
    return [{ value: this.read(), labels }];
  }
}

class HistogramSeries implements Histogram, Series {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds.toSorted((a, b) => a - b);
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] ?? Number.POSITIVE_INFINITY)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  samples(name: string, labels: Labels): Sample[] {
    let total = 0;
    const buckets = this.#counts.map((count, i): Sample => {
      total += count;
      const le = i < this.#bounds.length ? String(this.#bounds[i]) : '+Inf';
      return { value: total, labels: { ...labels, le }, metricName: `${name}_bucket` };
    });
    return [
      ...buckets,
      { value: this.#sum, labels, metricName: `${name}_sum` },
      { value: total, labels, metricName: `${name}_count` },
    ];
  }
}
