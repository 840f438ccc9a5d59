import { defaultsOf } from '../../../objects/test/support/settings.ts';
import { type HdfsSettings, SETTINGS_SCHEMA } from '../../src/settings.ts';

/** The schema's defaults with some of one's own. */
export function settingsOf(own: Partial<HdfsSettings> = {}): HdfsSettings {
  const { properties = {} } = SETTINGS_SCHEMA as { readonly properties?: Readonly<Record<string, unknown>> };
  return { ...defaultsOf(properties), ...own } as HdfsSettings; // as the schema says
}
