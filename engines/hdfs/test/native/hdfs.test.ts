import { startHdfs } from '../../../../test/real/hdfs-server.ts';
import { conformOn } from './conform.ts';

conformOn(startHdfs);
