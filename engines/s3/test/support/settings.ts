import { defaultsOf } from '../../../objects/test/support/settings.ts';
import { type S3Settings, SETTINGS_SCHEMA } from '../../src/settings.ts';

/** The schema's defaults with some of one's own. */
export function settingsOf(own: Partial<S3Settings> = {}): S3Settings {
  const { properties = {} } = SETTINGS_SCHEMA as { readonly properties?: Readonly<Record<string, unknown>> };
  return { ...defaultsOf(properties), bucket: 'bucket', ...own } as S3Settings; // as the schema says
}
