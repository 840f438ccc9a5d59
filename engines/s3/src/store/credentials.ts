import type { Clock } from '@robustmq/core';
import { StoreError } from '@robustmq/engine-objects';
import type { S3Settings } from '../settings.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export type CredentialSource = () => Promise<Credentials>;

/** How long before they expire credentials are renewed. */
const EARLY_MS = 300_000;
/** Those that do not say when they expire are looked up again after that: somebody may have written new ones into a file. */
const REREAD_MS = 60_000;

/**
 * What requests are signed with: the settings' own, or what the environment, a profile or the machine's role gives, renewed in time.
 * Both clients ask here, since each would keep some of them for ever.
 */
export async function credentialsOf(settings: S3Settings, clock: Clock): Promise<CredentialSource> {
  const { accessKeyId, secretAccessKey, sessionToken, profile } = settings;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    const own = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
    return async () => own;
  }
  const { fromIni, fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
  // a new one each time: the library keeps what it has found
  return renewed(clock, () =>
    profile === undefined ? fromNodeProviderChain({ ignoreCache: true })() : fromIni({ profile, ignoreCache: true })(),
  );
}

/** Asks `find` once for all who ask, and again when what it gave is old. */
export function renewed(clock: Clock, find: () => Promise<Credentials>): CredentialSource {
  let current: { readonly credentials: Credentials; readonly until: number } | undefined;
  let finding: Promise<Credentials> | undefined;

  const renew = async (): Promise<Credentials> => {
    try {
      const credentials = await find();
      const { expiration } = credentials;
      const left = expiration === undefined ? REREAD_MS : expiration.getTime() - clock.wall() - EARLY_MS;
      current = { credentials, until: clock.monotonic() + left };
      return credentials;
    } catch (error) {
      // they may still be good: the store says
      if (current !== undefined) return current.credentials;
      throw new StoreError('credentials', `no credentials: ${error instanceof Error ? error.message : String(error)}`, {
        mayBeApplied: false,
        cause: error,
      });
    } finally {
      finding = undefined;
    }
  };

  return async () => {
    if (current !== undefined && clock.monotonic() < current.until) return current.credentials;
    finding ??= renew();
    return await finding;
  };
}
