import { RobustError } from '@robustmq/core';

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use by another program',
  EACCES: 'needs more rights than this user has',
  EADDRNOTAVAIL: 'is not an address of this machine',
  ENOTFOUND: 'is not a name that can be resolved',
};

/** Names the setting when a port can't be had; anything else stays as it is. */
export function listenError(
  error: unknown,
  where: { readonly setting: string; readonly host: string; readonly port: number },
): unknown {
  const code = systemCode(error);
  const reason = REASONS[code ?? ''];
  if (reason === undefined) return error;
  return new RobustError(
    code === 'EADDRINUSE' ? 'PORT_IN_USE' : 'BIND_FAILED',
    `${where.setting}: ${where.host}:${where.port} ${reason}`,
    {
      hint: `Choose another, for example with --set ${where.setting}=0 (0 takes a free port)`,
      cause: error,
    },
  );
}

function systemCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code !== undefined && code in REASONS) return code;
  }
  return undefined;
}
