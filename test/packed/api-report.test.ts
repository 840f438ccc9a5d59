import { expect, test } from 'vitest';
import { reports, writtenReports } from '../../tools/api-report.ts';

test('the public types of every package are those in docs/api', () => {
  const advice = 'node tools/api-report.ts --write shows the difference to git; docs/versioning.md says what it means';
  expect(Object.fromEntries(reports()), advice).toEqual(Object.fromEntries(writtenReports()));
}, 60_000);
