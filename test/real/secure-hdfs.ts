import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import authorize from '../../engines/hdfs/examples/spnego.mjs';
import { freePorts } from './hdfs-cluster.ts';
import { type HdfsServer, startHdfs } from './hdfs-server.ts';
import { type Kdc, startKdc } from './kdc.ts';

const PASSWORD = 'of-a-test';

/** An HDFS with Kerberos, tokens for blocks, and TLS alone; who asks it in this process does so as its superuser, until another keytab is set. */
export interface SecureHdfs {
  readonly server: HdfsServer;
  readonly caFile: string;
  /** From now on whom tickets in this process are for. */
  become(user: 'nn' | 'robust'): void;
  /** With a ticket. */
  ask(method: string, pathAndQuery: string): Promise<unknown>;
  token(): Promise<string>;
  cancel(token: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startSecureHdfs(): Promise<SecureHdfs> {
  const ports = await freePorts();
  const kdc = await startKdc(ports.KDC ?? 0);
  const names = ['KRB5_CONFIG', 'KRB5_CLIENT_KTNAME', 'KRB5CCNAME'] as const;
  const before = names.map((name) => [name, process.env[name]] as const);
  const restore = (): void => {
    for (const [name, value] of before)
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  };
  try {
    const [daemons, robust, caFile] = await Promise.all([
      kdc.keytab('nn/localhost', 'dn/localhost', 'HTTP/localhost'),
      kdc.keytab('robust'),
      makeKeyStore(kdc.dir),
    ]);
    process.env.KRB5_CONFIG = kdc.config;
    const become = (user: 'nn' | 'robust'): void => {
      process.env.KRB5_CLIENT_KTNAME = user === 'nn' ? daemons : robust;
      process.env.KRB5CCNAME = `FILE:${join(kdc.dir, `${user}.tickets`)}`;
    };
    become('nn');
    await writeFile(join(kdc.dir, 'secret'), randomBytes(32).toString('hex'));
    const ca = await readFile(caFile, 'utf8');
    const server = await startHdfs(
      {
        https: { ca, headers: (url) => authorize({ method: 'GET', url }) },
        environment: { JAVA_TOOL_OPTIONS: `-Djava.security.krb5.conf=${kdc.config}` },
        settings: settingsOf(kdc, daemons, ports),
      },
      ports,
    );
    const ask = async (method: string, pathAndQuery: string): Promise<unknown> => {
      const url = `${server.nameNode.httpAddress}/webhdfs/v1${pathAndQuery}`;
      const asked = request(url, { method, ca, agent: false, headers: await authorize({ method, url }) }).end();
      // once gives a tuple of unknown types; a response is all that comes first
      const [reply] = (await once(asked, 'response')) as [IncomingMessage];
      if (reply.statusCode !== 200) throw new Error(`${pathAndQuery}: ${reply.statusCode} ${await text(reply)}`);
      if (reply.headers['content-length'] === '0') return void reply.resume();
      return await json(reply);
    };
    return {
      server,
      caFile,
      become,
      ask,
      token: async () => {
        // as WebHDFS documents it
        const { Token } = (await ask('GET', '/?op=GETDELEGATIONTOKEN&renewer=robust')) as {
          Token: { urlString: string };
        };
        return Token.urlString;
      },
      cancel: async (token) => void (await ask('PUT', `/?op=CANCELDELEGATIONTOKEN&token=${token}`)),
      stop: async () => {
        restore();
        await server.stop();
        await kdc.stop();
      },
    };
  } catch (error) {
    restore();
    await kdc.stop();
    throw error;
  }
}

/** @returns the certificate, which is its own authority */
async function makeKeyStore(dir: string): Promise<string> {
  const run = (...words: string[]) => promisify(execFile)('keytool', words);
  const [store, pem] = [join(dir, 'keys.p12'), join(dir, 'ca.pem')];
  const at = ['-keystore', store, '-storepass', PASSWORD, '-alias', 'hdfs'];
  const names = 'SAN=dns:localhost,ip:127.0.0.1';
  await run('-genkeypair', '-keyalg', 'EC', '-dname', 'CN=localhost', '-ext', names, '-validity', '30', ...at);
  await run('-exportcert', '-rfc', '-file', pem, ...at);
  return pem;
}

function settingsOf(
  kdc: Kdc,
  keytab: string,
  ports: Readonly<Record<string, number>>,
): Record<string, string | number | boolean> {
  const daemon = (name: string): string => kdc.principal(`${name}/localhost`);
  const store = join(kdc.dir, 'keys.p12');
  return {
    'hadoop.security.authentication': 'kerberos',
    'hadoop.security.authorization': true,
    'dfs.permissions.enabled': true,
    'dfs.block.access.token.enable': true,
    'dfs.data.transfer.protection': 'authentication',
    'dfs.http.policy': 'HTTPS_ONLY',
    'dfs.namenode.https-address': `localhost:${ports.NN1_HTTP}`,
    'dfs.datanode.https.address': `127.0.0.1:${ports.DN_HTTP}`,
    'dfs.datanode.hostname': 'localhost',
    'dfs.namenode.kerberos.principal': daemon('nn'),
    'dfs.namenode.keytab.file': keytab,
    'dfs.datanode.kerberos.principal': daemon('dn'),
    'dfs.datanode.keytab.file': keytab,
    'dfs.web.authentication.kerberos.principal': daemon('HTTP'),
    'dfs.web.authentication.kerberos.keytab': keytab,
    // WebHDFS asks for tickets where all that a daemon shows does
    'hadoop.http.filter.initializers': 'org.apache.hadoop.security.AuthenticationFilterInitializer',
    'hadoop.http.authentication.type': 'kerberos',
    'hadoop.http.authentication.kerberos.principal': daemon('HTTP'),
    'hadoop.http.authentication.kerberos.keytab': keytab,
    'hadoop.http.authentication.signature.secret.file': join(kdc.dir, 'secret'),
    // they may read it from any file that is in the class path, and this one is
    'dfs.https.server.keystore.resource': 'hdfs-site.xml',
    'hadoop.ssl.server.conf': 'hdfs-site.xml',
    'ssl.server.keystore.location': store,
    'ssl.server.keystore.password': PASSWORD,
    'ssl.server.keystore.keypassword': PASSWORD,
    'ssl.server.keystore.type': 'PKCS12',
  };
}
