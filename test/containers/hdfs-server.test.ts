import { expect, test } from 'vitest';
import { startHdfsContainer, startHdfsPairContainer } from '../real/hdfs-container.ts';
import { hdfsContract, hdfsPairContract } from '../real/hdfs-server-contract.ts';

hdfsContract('HDFS in a container', startHdfsContainer);
hdfsPairContract('a pair of NameNodes in a container', startHdfsPairContainer);

test('a start in a container that fails says what the daemon said', async () => {
  const failing = startHdfsContainer({ settings: { 'dfs.namenode.name.dir': 'file:///dev/null/nowhere' } });
  await expect(failing).rejects.toThrow(/nn1 has ended\. It said:.*\/dev\/null\/nowhere/s);
});
