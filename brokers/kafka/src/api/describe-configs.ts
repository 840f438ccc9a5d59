import { ERRORS } from '../error-codes.ts';
import { describeConfigsRequest, describeConfigsResponse } from '../schema/describe-configs.ts';
import type { Decoded } from '../schema/table.ts';
import { failure, type KafkaFailure } from '../storage-errors.ts';
import { type ShownConfig, shownConfigs } from '../topic-configs.ts';
import { ZERO_UUID } from '../wire/uuid.ts';
import { type Api, defineApi, type RequestContext } from './api.ts';
import { isFailure, topicFor } from './partition.ts';

type Request = Decoded<typeof describeConfigsRequest>;
type Resource = Request['resources'][number];

const TOPIC = 2;
const BROKER = 4;

/** Topics' settings under Kafka's names. A broker has none that Kafka has a name for. */
export const describeConfigs: Api = defineApi({
  key: 32,
  name: 'DescribeConfigs',
  request: describeConfigsRequest,
  response: describeConfigsResponse,
  handle: (request, context) => ({
    results: request.resources.map((resource) => describe(resource, request, context)),
  }),
});

function describe(resource: Resource, request: Request, context: RequestContext) {
  const { resourceType, resourceName, configurationKeys } = resource;
  const found = configsOf(resource, context);
  if (isFailure(found)) {
    context.services.metrics.error(found.code);
    return { resourceType, resourceName, errorCode: found.code, errorMessage: found.message, configs: [] };
  }
  const asked = found.filter(({ name }) => configurationKeys === null || configurationKeys.includes(name));
  return {
    resourceType,
    resourceName,
    errorCode: ERRORS.NONE,
    errorMessage: null,
    configs: asked.map((config) => ({
      ...config,
      documentation: request.includeDocumentation ? config.documentation : null,
      synonyms: request.includeSynonyms
        ? [{ name: config.name, value: config.value, source: config.configSource }]
        : [],
    })),
  };
}

function configsOf(
  { resourceType, resourceName }: Resource,
  context: RequestContext,
): readonly ShownConfig[] | KafkaFailure {
  if (resourceType === TOPIC) {
    const topic = topicFor(context, 'describe', { name: resourceName, topicId: ZERO_UUID });
    return isFailure(topic) ? topic : shownConfigs(topic);
  }
  const { services, principal } = context;
  if (!services.authorizer.authorize(principal, 'describe', { type: 'cluster' }))
    return failure('CLUSTER_AUTHORIZATION_FAILED', `${principal.name} may not describe the cluster`);
  if (resourceType === BROKER && (resourceName === '' || resourceName === String(services.node.id))) return [];
  return failure('INVALID_REQUEST', `resource ${resourceName} of type ${resourceType} has no configs here`);
}
