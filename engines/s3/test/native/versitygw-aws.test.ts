import { startVersitygw } from '../../../../test/real/s3-server.ts';
import { conformOn } from './conform.ts';

conformOn(startVersitygw, 'aws', true);
