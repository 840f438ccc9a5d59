import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const REALM = 'ROBUST.TEST';
const READY_MS = 20_000;

/** A Kerberos of its own on loopback: nothing of the machine's is read or changed. */
export interface Kdc {
  readonly dir: string;
  /** `krb5.conf`, for `KRB5_CONFIG` and for Java. */
  readonly config: string;
  principal(name: string): string;
  /** Where keys of all `names` lie. */
  keytab(...names: string[]): Promise<string>;
  stop(): Promise<void>;
}

/** @param port a free one, of TCP and UDP */
export async function startKdc(port: number): Promise<Kdc> {
  const dir = await mkdtemp(join(tmpdir(), 'robust-kdc-'));
  const config = join(dir, 'krb5.conf');
  const profile = join(dir, 'kdc.conf');
  // Debian has its programs where users do not look
  const PATH = `${process.env.PATH}:/usr/sbin`;
  const env = { ...process.env, PATH, KRB5_CONFIG: config, KRB5_KDC_PROFILE: profile };
  const run = (command: string, ...words: string[]) => promisify(execFile)(command, words, { env });
  await writeFile(config, clientConfig(port));
  await writeFile(profile, serverConfig(dir, port));
  let child: ChildProcess | undefined;
  const atExit = (): void => {
    child?.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.on('exit', atExit);
  const stop = async (): Promise<void> => {
    process.off('exit', atExit);
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await run('kdb5_util', 'create', '-s', '-r', REALM, '-P', 'of-a-test').catch((cause: unknown) => {
      throw new Error('Kerberos is not there. Fetch it once: tools/install-kerberos.sh', { cause });
    });
    // with this process, however it ends
    child = spawn('setpriv', ['--pdeathsig', 'KILL', 'krb5kdc', '-n', '-P', join(dir, 'pid')], {
      env,
      stdio: 'ignore',
    });
    await once(child, 'spawn');
    await answers(port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    dir,
    config,
    principal: (name) => `${name}@${REALM}`,
    keytab: async (...names) => {
      const file = join(dir, `${names.join('-').replaceAll('/', '_')}.keytab`);
      for (const name of names) {
        await run('kadmin.local', '-q', `addprinc -randkey ${name}`);
        await run('kadmin.local', '-q', `ktadd -k ${file} ${name}`);
      }
      return file;
    },
    stop,
  };
}

// what names resolve to is the machine's matter, and principals are of localhost
const clientConfig = (port: number): string => `
[libdefaults]
  default_realm = ${REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  ${REALM} = {
    kdc = 127.0.0.1:${port}
  }
[domain_realm]
  localhost = ${REALM}
`;

const serverConfig = (dir: string, port: number): string => `
[kdcdefaults]
  kdc_listen = 127.0.0.1:${port}
  kdc_tcp_listen = 127.0.0.1:${port}
[realms]
  ${REALM} = {
    database_name = ${dir}/principal
    key_stash_file = ${dir}/stash
    acl_file = ${dir}/acl
    supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
  }
[logging]
  kdc = FILE:${dir}/kdc.log
`;

async function answers(port: number): Promise<void> {
  const until = performance.now() + READY_MS;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await sleep(50);
    } finally {
      socket.destroy();
    }
  }
}
