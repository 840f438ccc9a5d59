import { startHdfsContainer } from '../../../../test/real/hdfs-container.ts';
import { conformOn } from '../native/conform.ts';

conformOn(startHdfsContainer);
