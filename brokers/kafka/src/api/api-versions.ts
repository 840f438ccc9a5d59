import { ERRORS } from '../error-codes.ts';
import { encodeResponse, type RequestHeader } from '../messages.ts';
import { apiVersionsRequest, apiVersionsResponse } from '../schema/api-versions.ts';
import type { ServedVersions } from '../services.ts';
import { type Api, defineApi } from './api.ts';

/** KIP-511: letters, digits, `.` and `-`, an alphanumeric at both ends. */
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?$/;

export const apiVersions: Api = defineApi({
  key: 18,
  name: 'ApiVersions',
  request: apiVersionsRequest,
  response: apiVersionsResponse,
  handle(request, { services, version, logger }) {
    if (version >= 3) {
      const { clientSoftwareName, clientSoftwareVersion } = request;
      if (!SOFTWARE.test(clientSoftwareName) || !SOFTWARE.test(clientSoftwareVersion))
        return { errorCode: ERRORS.INVALID_REQUEST, apiKeys: [] };
      logger.debug({ clientSoftwareName, clientSoftwareVersion }, 'Kafka client');
    }
    return { errorCode: ERRORS.NONE, apiKeys: listed(services.apis) };
  },
});

/** The answer to a version from the future, in version 0. */
export function unsupportedApiVersions(header: RequestHeader, apis: ServedVersions): readonly Uint8Array[] {
  const message = {
    errorCode: ERRORS.UNSUPPORTED_VERSION,
    apiKeys: listed(apis).filter((api) => api.apiKey === apiVersions.key),
  };
  return encodeResponse(apiVersions, { ...header, apiVersion: 0 }, message);
}

function listed(apis: ServedVersions): { apiKey: number; minVersion: number; maxVersion: number }[] {
  return [...apis].map(([apiKey, { min, max }]) => ({ apiKey, minVersion: min, maxVersion: max }));
}
