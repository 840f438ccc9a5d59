/** `npm run try:hdfs`: a small HDFS to try things on, until Ctrl-C; then it and what was stored are gone. With `--pair` two NameNodes that fail over by themselves. */
import { once } from 'node:events';
import { startHdfs, startHdfsPair } from './hdfs-server.ts';

const isPair = process.argv.includes('--pair');
const server = isPair ? await startHdfsPair({ automatic: true }) : await startHdfs();
const addresses = server.nameNodes.map(({ httpAddress }) => JSON.stringify(httpAddress)).join(', ');
console.log(`HDFS is ready. In robust.yaml:

engines:
  lake: { use: hdfs, nameNodes: [${addresses}], user: root }

Ctrl-C ends it.`);
// its processes alone keep nothing waiting
const awake = setInterval(() => {}, 60_000);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
clearInterval(awake);
await server.stop();
