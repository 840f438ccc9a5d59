import { startMinio } from '../../../../test/real/s3-server.ts';
import { conformOn } from './conform.ts';

conformOn(startMinio, 'minio', true);
