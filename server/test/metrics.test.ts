import { expect, test } from 'vitest';
import { PrometheusMetrics } from '../src/metrics/prometheus.ts';

test('plain fields show up in the text that Prometheus reads', async () => {
  const metrics = new PrometheusMetrics();
  metrics.counter('robust_a_total', 'A', { engine: 'x' }).value += 3;
  metrics.counter('robust_a_total', 'A', { engine: 'y' }).value += 1;
  let level = 1;
  metrics.gauge('robust_b', 'B', () => level);
  level = 7;
  const histogram = metrics.histogram('robust_c_seconds', 'C', [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 5]) histogram.observe(value);
  expect(await metrics.text()).toBe(`# HELP robust_a_total A
# TYPE robust_a_total counter
robust_a_total{engine="x"} 3
robust_a_total{engine="y"} 1

# HELP robust_b B
# TYPE robust_b gauge
robust_b 7

# HELP robust_c_seconds C
# TYPE robust_c_seconds histogram
robust_c_seconds_bucket{le="0.1"} 2
robust_c_seconds_bucket{le="1"} 3
robust_c_seconds_bucket{le="+Inf"} 4
robust_c_seconds_sum 5.65
robust_c_seconds_count 4
`);
});

test('the same name and labels are the same series', () => {
  const metrics = new PrometheusMetrics();
  const first = metrics.counter('robust_a_total', 'A', { b: '1', c: '2' });
  expect(metrics.counter('robust_a_total', 'A', { c: '2', b: '1' })).toBe(first);
  expect(() => metrics.gauge('robust_a_total', 'A', () => 0)).toThrow('is a counter and a gauge');
});
