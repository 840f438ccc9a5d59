import { startMinioContainer } from '../../../../test/real/s3-container.ts';
import { conformOn } from '../native/conform.ts';

conformOn(startMinioContainer, 'aws');
