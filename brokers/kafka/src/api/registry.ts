import { versionRange } from '../schema/table.ts';
import type { Api } from './api.ts';
import { apiVersions } from './api-versions.ts';
import { createTopics } from './create-topics.ts';
import { deleteTopics } from './delete-topics.ts';
import { describeCluster } from './describe-cluster.ts';
import { describeConfigs } from './describe-configs.ts';
import { fetch } from './fetch.ts';
import { findCoordinator } from './find-coordinator.ts';
import { initProducerId } from './init-producer-id.ts';
import { listOffsets } from './list-offsets.ts';
import { metadata } from './metadata.ts';
import { offsetForLeaderEpoch } from './offset-for-leader-epoch.ts';
import { produce } from './produce.ts';

export interface ApiEntry {
  readonly api: Api;
  readonly min: number;
  readonly max: number;
}

/** By API key, in ascending order. */
export type ApiRegistry = ReadonlyMap<number, ApiEntry>;

export const apis: ApiRegistry = register([
  produce,
  fetch,
  listOffsets,
  metadata,
  findCoordinator,
  apiVersions,
  createTopics,
  deleteTopics,
  initProducerId,
  offsetForLeaderEpoch,
  describeConfigs,
  describeCluster,
]);

function register(list: readonly Api[]): ApiRegistry {
  return new Map(
    list
      .toSorted((a, b) => a.key - b.key)
      .map((api) => {
        const { min, max } = versionRange(api.request.versions);
        return [api.key, { api, min, max }];
      }),
  );
}
