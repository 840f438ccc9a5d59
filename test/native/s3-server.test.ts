import { startMinio, startVersitygw } from '../real/s3-server.ts';
import { serverContract } from '../real/s3-server-contract.ts';

serverContract('MinIO as a process', startMinio);
serverContract('versitygw as a process', startVersitygw);
