import type { HdfsServer } from '../real/hdfs-server.ts';
import type { EngineSettings } from './stress.ts';

/** As a user would set the engine up on this server. */
export function lakeOn({ nameNodes }: Pick<HdfsServer, 'nameNodes'>, own: EngineSettings = {}): EngineSettings {
  return {
    use: 'hdfs',
    nameNodes: nameNodes.map(({ httpAddress }) => httpAddress),
    path: '/robust',
    user: 'root',
    flushIntervalMs: 50,
    ...own,
  };
}
