import { RobustError } from '@robustmq/core';
import { didYouMean } from '@robustmq/core/config';
import { ERRORS } from '../../errors-explained.ts';
import { EXIT, JSON_FLAG, type Verb } from '../verb.ts';

export const explain: Verb = {
  name: 'explain',
  summary: 'Explain an error code: what it means and what to do',
  operands: '[CODE]',
  maxOperands: 1,
  flags: { json: JSON_FLAG },
  notes: ['Without CODE all of them are listed. docs/errors.md has the same texts.'],
  async run({ operands, flags, io }) {
    const [code] = operands;
    const known = code === undefined ? undefined : ERRORS[code.toUpperCase()];
    if (code !== undefined && known === undefined) {
      const hint = didYouMean(code.toUpperCase(), Object.keys(ERRORS));
      throw new RobustError(
        'USAGE',
        `there is no error code ${JSON.stringify(code)}`,
        hint === undefined ? {} : { hint },
      );
    }
    const shown = known === undefined ? ERRORS : { [code?.toUpperCase() ?? '']: known };
    if (flags.has('json')) io.out(`${JSON.stringify(shown)}\n`);
    else
      for (const [name, { means, todo }] of Object.entries(shown))
        io.out(`${name}\n  ${means}\n  What to do: ${todo}\n`);
    return EXIT.ok;
  },
};
