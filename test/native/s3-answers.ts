import { type Answer, type LittleServer, littleServer, text } from '../../engines/hdfs/test/support/little-server.ts';

/** As S3 says that something is wrong. */
export const problem = (code: string): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;

/** What answers so and is no store at all. */
export const HTML = '<html>hello</html>';

export function xml(status: number, body: string): Answer {
  return text(status, body, { 'content-type': 'application/xml' });
}

/** While `run` runs there is a server that answers everything alike. */
export async function answering(answer: Answer, run: (endpoint: string) => Promise<void>): Promise<void> {
  const server: LittleServer = await littleServer(answer);
  try {
    await run(server.address);
  } finally {
    await server.close();
  }
}
